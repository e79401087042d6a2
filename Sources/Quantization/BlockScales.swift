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

    /// The block scales of a row, and its format under the FP32 scale.
    func row(
        _ row: Int,
        of format: QuantizationFormat,
        columns: Int
    ) -> (blocks: UnsafePointer<UInt8>, storage: BlockStorage) {
        let scale: Float =
            switch format.scaleKind {
            case .e8m0: 1
            case .perChannel: factors[row]
            case .e4m3TwoLevel, .perTensor: factors[0]
            }
        let blocksPerRow = format.blockScaleCount(rows: 1, columns: columns)
        return (blocks + row * blocksPerRow, format.storage(scale: scale))
    }

    /// Calls `body` with each row, its block scales and its format under the FP32 scale.
    func forEachRow(
        _ rows: Int,
        of format: QuantizationFormat,
        columns: Int,
        team: ThreadTeam,
        _ body: (_ row: Int, _ blocks: UnsafePointer<UInt8>, _ storage: BlockStorage) -> Void
    ) {
        team.parallelFor(count: rows) { range in
            for row in range {
                let place = self.row(row, of: format, columns: columns)
                body(row, place.blocks, place.storage)
            }
        }
    }
}

/// A weight that is read, row by row.
public struct WeightMatrix {
    /// The first element.
    public let start: UnsafePointer<Float>
    /// Rows.
    public let rows: Int
    /// Elements per row.
    public let columns: Int

    /// `rows` by `columns` elements from `start` on.
    public init(_ start: UnsafePointer<Float>, rows: Int, columns: Int) {
        self.start = start
        self.rows = rows
        self.columns = columns
    }
}

extension BlockQuantizer {
    /// Rounds `source` at random, right in the mean, under scales that were found beforehand or, without
    /// any, under those its values ask for; `destination` may be `source`.
    ///
    /// `amax`: Stands for the tensor's largest magnitude where scales are found. Allocates nothing on the
    /// heap.
    /// - SeeAlso: reference kernel `qat_fake_quantize_random_f32_ref`.
    public static func fakeQuantize(
        _ source: WeightMatrix,
        into destination: UnsafeMutablePointer<Float>,
        format: QuantizationFormat,
        scales: BlockScaleBytes?,
        amax: Float? = nil,
        draw: RoundingDraw,
        team: ThreadTeam
    ) {
        let (rows, columns, source) = (source.rows, source.columns, source.start)
        let isFound = scales == nil && format.scaleKind.hasTensorScale
        let count = rows * columns
        let factor =
            isFound
            ? tensorScale(source, count: count, format: format, amax: amax, team: team) : 1
        team.parallelFor(count: rows) { range in
            for row in range {
                let start = source + row * columns
                var storage = format.storage(scale: factor)
                var blocks: UnsafePointer<UInt8>?
                if let place = scales?.row(row, of: format, columns: columns) {
                    (blocks, storage) = place
                } else if format.scaleKind == .perChannel {
                    let amax = QuantizeKernels.amax(start, count: columns)
                    storage = format.storage(scale: format.floatScale(amax: amax))
                }
                QuantizeKernels.fakeQuantize(
                    destination + row * columns,
                    start,
                    scales: blocks,
                    count: columns,
                    blockSize: format.span(columns: columns),
                    storage: storage,
                    draw: .init(seed: draw.seed, place: draw.place + row * columns)
                )
            }
        }
    }

    /// The gradient of each block's step, times `factor`, from that of the rounded values: LSQ's.
    ///
    /// `gradient`: One per block. `format`: One of block scales.
    /// - SeeAlso: Esser et al., Learned Step Size Quantization, arXiv 1902.08153; reference kernel
    ///   `qat_scale_gradient_f32_ref`.
    public static func scaleGradient(
        _ gradient: UnsafeMutablePointer<Float>,
        ofRounded roundedGradient: UnsafePointer<Float>,
        source: WeightMatrix,
        format: QuantizationFormat,
        scales: BlockScaleBytes,
        factor: Float,
        team: ThreadTeam
    ) {
        let (rows, columns, source) = (source.rows, source.columns, source.start)
        precondition(format.scaleKind.hasBlocks, "\(format.name) has no block scales")
        let blocksPerRow = format.blockScaleCount(rows: 1, columns: columns)
        scales.forEachRow(rows, of: format, columns: columns, team: team) { row, blocks, storage in
            QuantizeKernels.scaleGradient(
                gradient + row * blocksPerRow,
                ofRounded: roundedGradient + row * columns,
                source: source + row * columns,
                scales: blocks,
                blocks: (blocksPerRow, format.span(columns: columns)),
                factor: factor,
                storage: storage
            )
        }
    }

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
        scales.forEachRow(rows, of: format, columns: columns, team: team) { row, blocks, storage in
            QuantizeKernels.fakeQuantize(
                destination + row * columns,
                source + row * columns,
                scales: blocks,
                count: columns,
                blockSize: format.span(columns: columns),
                storage: storage
            )
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
        scales.forEachRow(rows, of: format, columns: columns, team: team) { row, blocks, storage in
            QuantizeKernels.maskSaturated(
                gradient + row * columns,
                source + row * columns,
                scales: blocks,
                count: columns,
                blockSize: format.span(columns: columns),
                storage: storage
            )
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
        let codes = scales.withBytes { bytes in
            packedCodes(format, rows: rows, columns: columns, team: team) { row, codes in
                let place = bytes.row(row, of: format, columns: columns)
                PostTrainingKernels.encodeRows(
                    codes: codes,
                    source + row * columns,
                    scales: place.blocks,
                    rows: 1,
                    columns: columns,
                    blockSize: format.span(columns: columns),
                    storage: place.storage
                )
            }
        }
        return try PackedTensor(
            format: format,
            rows: rows,
            columns: columns,
            codes: codes,
            scales: scales.blocks,
            floatScales: scales.factors
        )
    }
}

extension BlockScales {
    /// The value of one code step in each block.
    public func steps(_ format: QuantizationFormat) -> [Float] {
        precondition(format.scaleKind.hasBlocks, "\(format.name) has no block scales")
        let storage = format.storage(factors, row: 0)
        return blocks.map { QuantizeKernels.step(ofScale: $0, storage: storage) }
    }

    /// The scales that are stored of these code steps, one for each block, under the same factors.
    public func with(steps: [Float], _ format: QuantizationFormat) -> BlockScales {
        var (steps, blocks) = (steps, blocks)
        QuantizeKernels.encodeSteps(
            &blocks,
            &steps,
            count: steps.count,
            storage: BlockStorage(format: format, globalScale: factors.first ?? 1)
        )
        return BlockScales(blocks: blocks, factors: factors)
    }

    /// Calls `body` with the scales where kernels find them.
    public func withBytes<Result>(_ body: (BlockScaleBytes) -> Result) -> Result {
        // What a format does not have is not read; there must be an address all the same.
        let blocks = blocks.isEmpty ? [0] : blocks
        let factors = factors.isEmpty ? [1] : factors
        return blocks.withUnsafeBufferPointer { blocks in
            factors.withUnsafeBufferPointer { factors in
                guard let first = blocks.baseAddress, let factor = factors.baseAddress else {
                    preconditionFailure("an array of one element has an address")
                }
                return body(BlockScaleBytes(blocks: first, factors: factor))
            }
        }
    }
}
