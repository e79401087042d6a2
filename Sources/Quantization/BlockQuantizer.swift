public import Formats
public import Kernels

/// Quantizes, dequantizes and fake-quantizes row-major tensors; blocks run along columns.
///
/// `fakeQuantize` gives, bit for bit, what `dequantize(quantize(x))` gives. Where a format has a
/// scale per tensor, `amax` overrides the tensor's own largest magnitude: modules that servers fuse
/// share one scale.
public enum BlockQuantizer {
    /// Checks that blocks tile the columns and codes fill bytes.
    ///
    /// - Throws: ``QuantizationError`` (`shapeMismatch`).
    public static func checkShape(rows: Int, columns: Int, format: QuantizationFormat) throws {
        let bits = format.element.bitWidth
        guard rows >= 0, columns > 0, columns * bits % 8 == 0 else {
            throw QuantizationError(
                .shapeMismatch,
                "\(columns) columns of \(bits)-bit codes (\(format.name)) do not fill whole bytes"
            )
        }
        guard format.scaleKind.hasBlocks else {
            return
        }
        guard format.blockSize > 0, columns % format.blockSize == 0 else {
            throw QuantizationError(
                .shapeMismatch,
                """
                \(columns) columns do not divide into blocks of \(format.blockSize) \
                (\(format.name)); choose a scaling_granularity that divides \(columns)
                """
            )
        }
    }

    /// The largest magnitude; NaN or infinity if any value is.
    public static func amax(_ values: UnsafePointer<Float>, count: Int, team: ThreadTeam) -> Float {
        // One slot per thread keeps the reduction free of locks and of order.
        withUnsafeTemporaryAllocation(of: Float.self, capacity: team.threadCount) { slots in
            slots.initialize(repeating: 0)
            let share = (count + team.threadCount - 1) / team.threadCount
            team.parallel { index in
                let lower = min(index * share, count)
                let upper = min(lower + share, count)
                slots[index] = QuantizeKernels.amax(values + lower, count: upper - lower)
            }
            return slots.reduce(0) { $0.isNaN || $0 > $1 ? $0 : $1 }
        }
    }

    /// Rounds `source` to the format's values; `destination` may be `source`.
    ///
    /// A block with a NaN or an infinity becomes NaN. Allocates nothing on the heap. `source`:
    /// Row-major `[rows, columns]`; blocks must divide the columns. `team`: Threads to use.
    /// - SeeAlso: reference kernel `qat_fake_quantize_f32_ref`.
    public static func fakeQuantize(
        _ source: UnsafePointer<Float>,
        into destination: UnsafeMutablePointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        amax: Float? = nil,
        team: ThreadTeam
    ) {
        let span = format.span(columns: columns)
        precondition(columns % span == 0, "fakeQuantize: \(columns) columns, blocks of \(span)")
        guard format.scaleKind != .perChannel else {
            return team.parallelFor(count: rows) { range in
                for row in range {
                    let start = source + row * columns
                    let scale = format.floatScale(
                        amax: QuantizeKernels.amax(start, count: columns)
                    )
                    QuantizeKernels.fakeQuantize(
                        destination + row * columns,
                        start,
                        count: columns,
                        blockSize: columns,
                        storage: format.storage(scale: scale)
                    )
                }
            }
        }
        let count = rows * columns
        let storage = format.storage(
            scale: tensorScale(source, count: count, format: format, amax: amax, team: team)
        )
        team.parallelFor(count: count, grain: span) { range in
            QuantizeKernels.fakeQuantize(
                destination + range.lowerBound,
                source + range.lowerBound,
                count: range.count,
                blockSize: span,
                storage: storage
            )
        }
    }

    /// Rounds `source` under an FP32 scale that was found beforehand: `x / scale` to the element's
    /// nearest value, values beyond its largest becoming that.
    ///
    /// Of two-level formats, `scale` is the upper level. `destination` may be `source`. Allocates
    /// nothing on the heap.
    public static func fakeQuantize(
        _ source: UnsafePointer<Float>,
        into destination: UnsafeMutablePointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        scale: Float,
        team: ThreadTeam
    ) {
        precondition(format.scaleKind.hasTensorScale, "\(format.name) has no scale per tensor")
        let span = format.span(columns: columns)
        let storage = format.storage(scale: scale)
        team.parallelFor(count: rows * columns, grain: span) { range in
            QuantizeKernels.fakeQuantize(
                destination + range.lowerBound,
                source + range.lowerBound,
                count: range.count,
                blockSize: span,
                storage: storage
            )
        }
    }

    /// Zeroes the gradient where `source` lies beyond what its block's scale can hold.
    ///
    /// FP32 scales hold the largest magnitude, and two-level ones saturate by no more than their own
    /// rounding; these are left alone.
    public static func maskSaturated(
        gradient: UnsafeMutablePointer<Float>,
        source: UnsafePointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        team: ThreadTeam
    ) {
        guard format.scaleKind == .e8m0 else {
            return
        }
        let storage = format.storage(scale: 1)
        team.parallelFor(count: rows * columns, grain: format.blockSize) { range in
            QuantizeKernels.maskSaturated(
                gradient + range.lowerBound,
                source + range.lowerBound,
                count: range.count,
                blockSize: format.blockSize,
                storage: storage
            )
        }
    }

    /// Quantizes to packed codes and scales.
    ///
    /// `values`: Row-major `[rows, columns]`.
    ///
    /// - Throws: ``QuantizationError`` (`nonFiniteInput`, `shapeMismatch`).
    public static func quantize(
        _ values: UnsafeBufferPointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        amax: Float? = nil,
        team: ThreadTeam
    ) throws -> PackedTensor {
        let source = try checkedStart(values, rows, columns, format, team)
        let floatScales = floatScales(source, rows, columns, format, amax, team)
        let scaleCount = format.blockScaleCount(rows: rows, columns: columns)
        let scales = AlignedBuffer<UInt8>(count: scaleCount)
        let blocksPerRow = rows > 0 ? scaleCount / rows : 0
        let codes = packedCodes(format, rows: rows, columns: columns, team: team) { row, codes in
            QuantizeKernels.quantize(
                codes: codes,
                scales: scales.pointer + row * blocksPerRow,
                source + row * columns,
                count: columns,
                blockSize: format.span(columns: columns),
                storage: format.storage(floatScales, row: row)
            )
        }
        return try PackedTensor(
            format: format,
            rows: rows,
            columns: columns,
            codes: codes,
            scales: [UInt8](scales.elements),
            floatScales: floatScales
        )
    }

    /// The codes of a tensor as they are stored; `encode` writes one byte for each of a row's elements.
    static func packedCodes(
        _ format: QuantizationFormat,
        rows: Int,
        columns: Int,
        team: ThreadTeam,
        encode: (_ row: Int, _ codes: UnsafeMutablePointer<UInt8>) -> Void
    ) -> [UInt8] {
        let bits = format.element.bitWidth
        let packed = AlignedBuffer<UInt8>(count: rows * columns * bits / 8)
        let codes = AlignedBuffer<UInt8>(count: rows * columns)
        // Whole rows: checkShape has seen to it that their codes fill whole bytes.
        team.parallelFor(count: rows) { range in
            for row in range {
                let start = row * columns
                encode(row, codes.pointer + start)
                QuantizeKernels.pack(
                    packed.pointer + start * bits / 8,
                    codes: codes.pointer + start,
                    count: columns,
                    codeBits: bits
                )
            }
        }
        return [UInt8](packed.elements)
    }

    /// The real values of a stored tensor.
    ///
    /// `destination`: Row-major, `rows · columns` elements.
    ///
    /// - Throws: ``QuantizationError`` (`shapeMismatch`).
    public static func dequantize(
        _ packed: PackedTensor,
        into destination: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        let (rows, columns) = (packed.rows, packed.columns)
        guard destination.count == rows * columns, let start = destination.baseAddress else {
            throw QuantizationError(
                .shapeMismatch,
                "\(destination.count) values cannot hold [\(rows), \(columns)]"
            )
        }
        let format = packed.format
        let bits = format.element.bitWidth
        let blocksPerRow = rows > 0 ? packed.scales.count / rows : 0
        packed.codes.withUnsafeBufferPointer { packedCodes in
            packed.scales.withUnsafeBufferPointer { scales in
                guard let packedStart = packedCodes.baseAddress else {
                    return
                }
                // Formats without block scales never read them.
                let scaleStart = scales.baseAddress ?? packedStart
                team.parallelFor(count: rows) { range in
                    let codes = AlignedBuffer<UInt8>(count: columns)
                    for row in range {
                        QuantizeKernels.unpack(
                            codes.pointer,
                            packed: packedStart + row * columns * bits / 8,
                            count: columns,
                            codeBits: bits
                        )
                        QuantizeKernels.dequantize(
                            start + row * columns,
                            codes: codes.pointer,
                            scales: scaleStart + row * blocksPerRow,
                            count: columns,
                            blockSize: format.span(columns: columns),
                            storage: format.storage(packed.floatScales, row: row)
                        )
                    }
                }
            }
        }
    }

    /// The first of `[rows, columns]` finite values.
    static func checkedStart(
        _ values: UnsafeBufferPointer<Float>,
        _ rows: Int,
        _ columns: Int,
        _ format: QuantizationFormat,
        _ team: ThreadTeam
    ) throws -> UnsafePointer<Float> {
        try checkShape(rows: rows, columns: columns, format: format)
        guard values.count == rows * columns, let start = values.baseAddress else {
            throw QuantizationError(
                .shapeMismatch,
                "\(values.count) values are not [\(rows), \(columns)]"
            )
        }
        guard amax(start, count: values.count, team: team).isFinite else {
            throw QuantizationError(
                .nonFiniteInput,
                "the tensor [\(rows), \(columns)] holds a NaN or an infinity"
            )
        }
        return start
    }

    /// The FP32 scales of a tensor, as ``PackedTensor/floatScales`` has them.
    static func floatScales(
        _ source: UnsafePointer<Float>,
        _ rows: Int,
        _ columns: Int,
        _ format: QuantizationFormat,
        _ amax: Float?,
        _ team: ThreadTeam
    ) -> [Float] {
        switch format.scaleKind {
        case .e8m0: []
        case .perChannel:
            (0..<rows).map { row in
                format.floatScale(
                    amax: QuantizeKernels.amax(source + row * columns, count: columns)
                )
            }
        case .e4m3TwoLevel, .perTensor:
            [
                tensorScale(
                    source,
                    count: rows * columns,
                    format: format,
                    amax: amax,
                    team: team
                )
            ]
        }
    }

    static func tensorScale(
        _ source: UnsafePointer<Float>,
        count: Int,
        format: QuantizationFormat,
        amax given: Float?,
        team: ThreadTeam
    ) -> Float {
        guard format.scaleKind != .e8m0 else {
            return 1
        }
        return format.floatScale(amax: given ?? amax(source, count: count, team: team))
    }
}
