internal import CKernels

/// How far a step of learned rounding goes; see `qat_ptq.h`.
public struct LearnedRoundingStep: Sendable, Equatable {
    /// Of elements' offsets.
    public var offsetRate: Float
    /// Of blocks' factors.
    public var factorRate: Float
    /// Within which factors stay.
    public var factors: ClosedRange<Float>

    /// A step.
    public init(offsetRate: Float, factorRate: Float, factors: ClosedRange<Float>) {
        self.offsetRate = offsetRate
        self.factorRate = factorRate
        self.factors = factors
    }

    var cStep: qat_rounding_step {
        qat_rounding_step(
            offset_rate: offsetRate,
            factor_rate: factorRate,
            least_factor: factors.lowerBound,
            largest_factor: factors.upperBound
        )
    }
}

/// What is learned of some blocks, where kernels find it.
public struct LearnedBlocks {
    /// One per element.
    public let offsets: UnsafeMutablePointer<Float>
    /// One per block; nil where scales stay.
    public let factors: UnsafeMutablePointer<Float>?
    /// The byte of each block's scale; not read where scales are FP32 only.
    public let scales: UnsafeMutablePointer<UInt8>
    /// What one code counts under a factor of 1, by block; not read where scales stay.
    public let steps: UnsafePointer<Float>

    /// Parts of some blocks.
    public init(
        offsets: UnsafeMutablePointer<Float>,
        factors: UnsafeMutablePointer<Float>?,
        scales: UnsafeMutablePointer<UInt8>,
        steps: UnsafePointer<Float>
    ) {
        self.offsets = offsets
        self.factors = factors
        self.scales = scales
        self.steps = steps
    }
}

extension QuantizeKernels {
    /// Rounds each element to one of the two values of the grid around it, the middle between the two
    /// moved by the element's offset, under scales that were found beforehand.
    ///
    /// - SeeAlso: reference kernel `qat_fake_quantize_offset_f32_ref`.
    public static func fakeQuantize(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        offsets: UnsafePointer<Float>,
        scales: UnsafePointer<UInt8>,
        blocks: (count: Int, size: Int),
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_fake_quantize_offset_f32(
            destination,
            source,
            offsets,
            scales,
            blocks.count * blocks.size,
            blocks.size,
            &format
        )
    }

    /// Moves offsets, and blocks' steps with their scales, against the signs of their gradients.
    ///
    /// `gradient`: Of the rounded values of `source`.
    /// - SeeAlso: reference kernel `qat_learn_rounding_f32_ref`.
    public static func learnRounding(
        _ learned: LearnedBlocks,
        gradient: UnsafePointer<Float>,
        source: UnsafePointer<Float>,
        blocks: (count: Int, size: Int),
        step: LearnedRoundingStep,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        var step = step.cStep
        qat_learn_rounding_f32(
            learned.offsets,
            learned.factors,
            learned.scales,
            gradient,
            source,
            learned.steps,
            blocks.count * blocks.size,
            blocks.size,
            &step,
            &format
        )
    }
}
