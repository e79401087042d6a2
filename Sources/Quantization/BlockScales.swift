public import Formats
public import Kernels

/// Scales of a weight that were found beforehand and stay while its values change.
public struct BlockScales: Sendable, Equatable {
    /// One byte per block, `[rows, columns / blockSize]`; empty where scales are FP32 only.
    public let blocks: [UInt8]
    /// FP32 scales: one of a two-level or per-tensor format, one per row of a per-channel one.
    public let factors: [Float]

    /// Scales as ``PackedTensor/scales`` and ``PackedTensor/floatScales`` have them.
    public init(blocks: [UInt8], factors: [Float]) {
        self.blocks = blocks
        self.factors = factors
    }

    /// The scales of a stored tensor.
    public init(_ packed: PackedTensor) {
        self.init(blocks: packed.scales, factors: packed.floatScales)
    }

    /// Whether a format has as many scales for such a weight.
    public func fits(_ format: QuantizationFormat, rows: Int, columns: Int) -> Bool {
        blocks.count == format.blockScaleCount(rows: rows, columns: columns)
            && factors.count == format.floatScaleCount(rows: rows)
    }
}

/// ``BlockScales`` where kernels find them.
public struct BlockScaleBytes: @unchecked Sendable {
    // Read only, as long as whoever made it says.

    /// `[rows, columns / blockSize]`; not read where scales are FP32 only.
    public let blocks: UnsafePointer<UInt8>
    /// One, or one per row; not read of powers of two.
    public let factors: UnsafePointer<Float>

    /// Scales that outlive this.
    public init(blocks: UnsafePointer<UInt8>, factors: UnsafePointer<Float>) {
        self.blocks = blocks
        self.factors = factors
    }
}

extension BlockQuantizer {
    /// Rounds `source` under scales that were found beforehand; `destination` may be `source`.
    ///
    /// Values beyond what a block's scale holds become the largest that it does. Allocates nothing on the
    /// heap.
    /// - SeeAlso: reference kernel `qat_fake_quantize_scaled_f32_ref`.
    public static func fakeQuantize(
        _ source: UnsafePointer<Float>,
        into destination: UnsafeMutablePointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        scales: BlockScaleBytes,
        team: ThreadTeam
    ) {
        let span = format.span(columns: columns)
        let blocksPerRow = format.blockScaleCount(rows: 1, columns: columns)
        team.parallelFor(count: rows) { range in
            for row in range {
                QuantizeKernels.fakeQuantize(
                    destination + row * columns,
                    source + row * columns,
                    scales: scales.blocks + row * blocksPerRow,
                    count: columns,
                    blockSize: span,
                    storage: Self.storage(format, scales, row: row)
                )
            }
        }
    }

    /// Zeroes the gradient where `source` lies beyond what its block's scale, found beforehand, holds.
    public static func maskSaturated(
        gradient: UnsafeMutablePointer<Float>,
        source: UnsafePointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        scales: BlockScaleBytes,
        team: ThreadTeam
    ) {
        let span = format.span(columns: columns)
        let blocksPerRow = format.blockScaleCount(rows: 1, columns: columns)
        team.parallelFor(count: rows) { range in
            for row in range {
                QuantizeKernels.maskSaturated(
                    gradient + row * columns,
                    source + row * columns,
                    scales: scales.blocks + row * blocksPerRow,
                    count: columns,
                    blockSize: span,
                    storage: Self.storage(format, scales, row: row)
                )
            }
        }
    }

    /// Quantizes under scales that were found beforehand: the codes of what
    /// ``fakeQuantize(_:into:rows:columns:format:scales:team:)`` gives.
    ///
    /// - Throws: ``QuantizationError`` (`nonFiniteInput`, `shapeMismatch`).
    public static func quantize(
        _ values: UnsafeBufferPointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        scales: BlockScales,
        team: ThreadTeam
    ) throws -> PackedTensor {
        let source = try checkedStart(values, rows, columns, format, team)
        guard scales.fits(format, rows: rows, columns: columns) else {
            throw QuantizationError(
                .shapeMismatch,
                """
                \(scales.blocks.count) block scales and \(scales.factors.count) FP32 scales are not \
                those of a [\(rows), \(columns)] \(format.name) tensor
                """
            )
        }
        let bits = format.element.bitWidth
        let packedCodes = AlignedBuffer<UInt8>(count: values.count * bits / 8)
        let codes = AlignedBuffer<UInt8>(count: values.count)
        let span = format.span(columns: columns)
        scales.withBytes { bytes in
            team.parallelFor(count: rows) { range in
                for row in range {
                    let start = row * columns
                    let storage = Self.storage(format, bytes, row: row)
                    for block in 0..<columns / span {
                        let scale = bytes.blocks[
                            format.scaleKind.hasBlocks ? row * (columns / span) + block : 0
                        ]
                        QuantizeKernels.encode(
                            codes.pointer + start + block * span,
                            source + start + block * span,
                            count: span,
                            step: QuantizeKernels.step(ofScale: scale, storage: storage),
                            storage: storage
                        )
                    }
                    QuantizeKernels.pack(
                        packedCodes.pointer + start * bits / 8,
                        codes: codes.pointer + start,
                        count: columns,
                        codeBits: bits
                    )
                }
            }
        }
        return try PackedTensor(
            format: format,
            rows: rows,
            columns: columns,
            codes: [UInt8](packedCodes.elements),
            scales: scales.blocks,
            floatScales: scales.factors
        )
    }

    private static func storage(
        _ format: QuantizationFormat,
        _ scales: BlockScaleBytes,
        row: Int
    ) -> BlockStorage {
        switch format.scaleKind {
        case .e8m0: format.storage(scale: 1)
        case .perChannel: format.storage(scale: scales.factors[row])
        case .e4m3TwoLevel, .perTensor: format.storage(scale: scales.factors[0])
        }
    }
}

extension BlockScales {
    /// Calls `body` with the scales where kernels find them.
    public func withBytes(_ body: (BlockScaleBytes) -> Void) {
        // What a format does not have is not read; there must be an address all the same.
        let none: ([UInt8], [Float]) = ([0], [1])
        (blocks.isEmpty ? none.0 : blocks).withUnsafeBufferPointer { blocks in
            (factors.isEmpty ? none.1 : factors).withUnsafeBufferPointer { factors in
                guard let first = blocks.baseAddress, let factor = factors.baseAddress else {
                    return
                }
                body(BlockScaleBytes(blocks: first, factors: factor))
            }
        }
    }
}
