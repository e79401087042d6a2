internal import CKernels

/// A weight of a linear layer, or an embedding, as products read it packed.
///
/// Written once, when it is made.
public final class PackedWeight: @unchecked Sendable {
    /// How it lies in memory.
    public let layout: PackedLayout
    /// ``PackedLayout/byteCount`` bytes.
    public let memory: AlignedBuffer<UInt8>

    /// A weight of zeros whose factors are 1.
    init(_ layout: PackedLayout) {
        self.layout = layout
        memory = AlignedBuffer(count: layout.byteCount)
        if layout.byteCount >= 4 << 20 { memory.preferLargePages() }
        factors.update(repeating: 1, count: layout.tileCount * Int(QAT_TILE_ROWS))
    }

    private var factors: UnsafeMutablePointer<Float> {
        UnsafeMutableRawPointer(memory.pointer + layout.factorOffset)
            .assumingMemoryBound(to: Float.self)
    }

    /// A weight of codes as files have them, row by row.
    ///
    /// `codes`: 4 bits low nibble first, 6 bits four codes in three little-endian bytes, others a code
    /// each. `scales`: A byte per block; not read where there are no block scales. `factors`: FP32
    /// scales, one or one per row; none is 1. No code and no scale is NaN or infinite.
    public convenience init(
        _ layout: PackedLayout,
        codes: UnsafePointer<UInt8>,
        scales: UnsafePointer<UInt8>,
        factors: [Float],
        team: ThreadTeam
    ) {
        self.init(layout)
        let rowCount = layout.tileCount * Int(QAT_TILE_ROWS)
        for row in 0..<rowCount where !factors.isEmpty {
            self.factors[row] = factors[min(row, factors.count - 1)]
        }
        let start = memory.pointer
        let rowBytes = layout.columns * layout.element.bitWidth / 8
        team.parallelFor(count: layout.tileCount) { tiles in
            for tile in tiles {
                let row = tile * Int(QAT_TILE_ROWS)
                let count = min(Int(QAT_TILE_ROWS), layout.rows - row)
                qat_tile_codes(
                    start + tile * layout.tileCodeBytes,
                    start + layout.highOffset + tile * layout.tileHighBytes,
                    codes + row * rowBytes,
                    rowBytes,
                    count,
                    layout.columns,
                    layout.kernelElement
                )
                guard layout.blockScales != nil else { continue }
                qat_tile_scales(
                    start + layout.scaleOffset + tile * layout.tileScaleBytes,
                    scales + row * layout.blocksPerRow,
                    count,
                    layout.blocksPerRow,
                    layout.kernelSteps
                )
            }
        }
    }

    /// Whether FP32 values are all finite and exactly what half precision, of either kind, says.
    public static func isExact(
        _ values: UnsafePointer<Float>,
        count: Int,
        as element: PackedLayout.Element
    ) -> Bool {
        guard element == .bfloat16 || element == .float16 else { return element == .float32 }
        let kind = element == .float16 ? QAT_PACKED_F16 : QAT_PACKED_BF16
        return withUnsafeTemporaryAllocation(of: UInt16.self, capacity: max(count, 1)) { room in
            guard let start = room.baseAddress else { return false }
            return qat_narrow_exactly(start, values, count, kind) != 0
        }
    }

    /// A weight of FP32 values that `element`, of half or single precision, has exactly.
    ///
    /// `read`: Writes the values of some rows, one behind the other.
    ///
    /// - Throws: What `read` does.
    public convenience init(
        _ element: PackedLayout.Element,
        rows: Int,
        columns: Int,
        read: (_ rows: Range<Int>, _ output: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) rethrows {
        let layout = PackedLayout(element, rows: rows, columns: columns)
        precondition(element.bitWidth >= 16, "\(element) has scales")
        self.init(layout)
        // A few megabytes at a time.
        let tileRows = Int(QAT_TILE_ROWS)
        let step = max((1 << 20) / (columns * tileRows), 1) * tileRows
        let values = AlignedBuffer<Float>(count: min(step, max(rows, 1)) * columns)
        let halves = AlignedBuffer<UInt16>(count: element == .float32 ? 0 : values.count)
        for first in stride(from: 0, to: rows, by: step) {
            let range = first..<min(first + step, rows)
            let count = range.count * columns
            try read(range, UnsafeMutableBufferPointer(start: values.pointer, count: count))
            if element != .float32 {
                let isExact = qat_narrow_exactly(
                    halves.pointer,
                    values.pointer,
                    count,
                    layout.kernelElement
                )
                precondition(isExact != 0, "values that are none of \(element)")
            }
            let source =
                element == .float32
                ? UnsafeRawPointer(values.pointer) : UnsafeRawPointer(halves.pointer)
            place(source.assumingMemoryBound(to: UInt8.self), rows: range)
        }
    }

    /// Puts rows, the first of which begins a tile, where they belong.
    private func place(_ codes: UnsafePointer<UInt8>, rows: Range<Int>) {
        let tileRows = Int(QAT_TILE_ROWS)
        let rowBytes = layout.columns * layout.element.bitWidth / 8
        for row in stride(from: rows.lowerBound, to: rows.upperBound, by: tileRows) {
            qat_tile_codes(
                memory.pointer + row / tileRows * layout.tileCodeBytes,
                memory.pointer + layout.highOffset,
                codes + (row - rows.lowerBound) * rowBytes,
                rowBytes,
                min(tileRows, rows.upperBound - row),
                layout.columns,
                layout.kernelElement
            )
        }
    }
}
