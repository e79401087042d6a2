internal import CKernels

/// One Lion update's constants.
public struct LionStep: Sendable, Equatable {
    /// Learning rate of this step.
    public var learningRate: Float
    /// The moment's share of the direction.
    public var beta1: Float
    /// Decay of the moment.
    public var beta2: Float
    /// Decoupled weight decay; 0 for one-dimensional parameters.
    public var weightDecay: Float
    /// Multiplies the gradient first: clipping by global norm.
    public var gradientScale: Float
    /// What BF16 and one-byte moments are rounded by: another one for each step.
    public var seed: UInt32

    /// An update's constants, all given.
    public init(
        learningRate: Float,
        beta1: Float,
        beta2: Float,
        weightDecay: Float,
        gradientScale: Float,
        seed: UInt32
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.weightDecay = weightDecay
        self.gradientScale = gradientScale
        self.seed = seed
    }

    fileprivate var cStep: qat_lion {
        qat_lion(
            learning_rate: learningRate,
            beta1: beta1,
            beta2: beta2,
            weight_decay: weightDecay,
            gradient_scale: gradientScale
        )
    }
}

extension OptimizerKernels {
    /// Updates weights and the moment in place, on the calling thread.
    public static func lion(
        weights: UnsafeMutablePointer<Float>,
        moment: UnsafeMutablePointer<Float>,
        gradient: UnsafePointer<Float>,
        count: Int,
        step: LionStep
    ) {
        var cStep = step.cStep
        qat_lion_f32(weights, moment, gradient, count, &cStep)
    }

    /// The same with a moment kept as BF16; `first` as for AdamW's.
    public static func lion(
        weights: UnsafeMutablePointer<Float>,
        moment: UnsafeMutablePointer<UInt16>,
        gradient: UnsafePointer<Float>,
        count: Int,
        first: Int,
        step: LionStep
    ) {
        var cStep = step.cStep
        qat_lion_bf16_f32(weights, moment, gradient, count, first, step.seed, &cStep)
    }

    /// The same with a moment of one byte.
    public static func lion(
        weights: UnsafeMutablePointer<Float>,
        moment: BlockMoment,
        gradient: UnsafePointer<Float>,
        count: Int,
        first: Int,
        step: LionStep
    ) {
        var cStep = step.cStep
        qat_lion_u8_f32(
            weights,
            moment.codes,
            moment.scales,
            gradient,
            count,
            first,
            step.seed,
            &cStep
        )
    }
}
