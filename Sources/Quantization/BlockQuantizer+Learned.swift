public import Formats
public import Kernels

/// What is learned of a weight's rounding, where kernels find it.
public struct LearnedRoundingBuffers: @unchecked Sendable {
    // Written by threads that each have rows of their own, as long as whoever made it says.

    /// `[rows, columns]`, each in -0.5 … 0.5 of the grid's steps around its element.
    public let offsets: UnsafeMutablePointer<Float>
    /// `[rows, columns / blockSize]`; nil where scales stay.
    public let factors: UnsafeMutablePointer<Float>?
    /// Likewise; not read where scales are FP32 only.
    public let blocks: UnsafeMutablePointer<UInt8>
    /// What one code counts under a factor of 1, one per block; not read where scales stay.
    public let steps: UnsafePointer<Float>
    /// FP32 scales: one, or one per row; not read of powers of two.
    public let factorsOfRows: UnsafePointer<Float>

    /// Parts that outlive this.
    public init(
        offsets: UnsafeMutablePointer<Float>,
        factors: UnsafeMutablePointer<Float>?,
        blocks: UnsafeMutablePointer<UInt8>,
        steps: UnsafePointer<Float>,
        factorsOfRows: UnsafePointer<Float>
    ) {
        self.offsets = offsets
        self.factors = factors
        self.blocks = blocks
        self.steps = steps
        self.factorsOfRows = factorsOfRows
    }
}

extension BlockQuantizer {
    /// Rounds `source` under scales that were found beforehand, the middle between two values moved by
    /// each element's offset; `destination` may be `source`.
    ///
    /// `offsets`: `[rows, columns]`, each in -0.5 … 0.5 of the grid's steps around its element. Values are
    /// finite.
    /// - SeeAlso: reference kernel `qat_fake_quantize_offset_f32_ref`.
    public static func fakeQuantize(
        _ source: WeightMatrix,
        into destination: UnsafeMutablePointer<Float>,
        format: QuantizationFormat,
        scales: BlockScaleBytes,
        offsets: UnsafePointer<Float>,
        team: ThreadTeam
    ) {
        let columns = source.columns
        let span = format.span(columns: columns)
        scales.forEachRow(source.rows, of: format, columns: columns, team: team) {
            row,
            blocks,
            storage in
            QuantizeKernels.fakeQuantize(
                destination + row * columns,
                source.start + row * columns,
                offsets: offsets + row * columns,
                scales: blocks,
                blocks: (columns / span, span),
                storage: storage
            )
        }
    }

    /// Moves what is learned of a weight's rounding against the signs of its gradients.
    ///
    /// `gradient`: Of the rounded values of `source`, `[rows, columns]`.
    /// - SeeAlso: reference kernel `qat_learn_rounding_f32_ref`.
    public static func learnRounding(
        _ learned: LearnedRoundingBuffers,
        gradient: UnsafePointer<Float>,
        source: WeightMatrix,
        format: QuantizationFormat,
        step: LearnedRoundingStep,
        team: ThreadTeam
    ) {
        let columns = source.columns
        let span = format.span(columns: columns)
        let perRow = format.blockScaleCount(rows: 1, columns: columns)
        let scales = BlockScaleBytes(blocks: learned.blocks, factors: learned.factorsOfRows)
        let factors = format.scaleKind.hasBlocks ? learned.factors : nil
        scales.forEachRow(source.rows, of: format, columns: columns, team: team) {
            row,
            _,
            storage in
            QuantizeKernels.learnRounding(
                LearnedBlocks(
                    offsets: learned.offsets + row * columns,
                    factors: factors.map { $0 + row * perRow },
                    scales: learned.blocks + row * perRow,
                    steps: learned.steps + row * perRow
                ),
                gradient: gradient + row * columns,
                source: source.start + row * columns,
                blocks: (columns / span, span),
                step: step,
                storage: storage
            )
        }
    }
}
