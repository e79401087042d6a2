internal import CKernels

/// A loss summed over rows, with how many rows counted.
public struct LossSum: Sendable, Equatable, BitwiseCopyable {
    /// Sum of the rows' losses, in nats.
    public var loss: Double = 0
    /// Rows that had a target.
    public var rows: Int = 0
    /// Rows whose most likely token was the target (or the teacher's most likely one).
    public var correct: Int = 0

    /// A sum of nothing.
    public init() {}

    /// Adds another part of the same sum.
    public mutating func add(_ other: LossSum) {
        loss += other.loss
        rows += other.rows
        correct += other.correct
    }

    init(_ sum: qat_loss_sum) {
        loss = sum.loss
        rows = Int(sum.rows)
        correct = Int(sum.correct)
    }
}

/// The kernels of the losses, on the calling thread.
public enum LossKernels {
    /// Cross-entropy; `logits` become the gradient times `gradientScale`.
    ///
    /// Targets below 0 are skipped.
    public static func crossEntropy(
        logits: UnsafeMutablePointer<Float>,
        targets: UnsafePointer<Int32>,
        rows: Int,
        vocabularySize: Int,
        gradientScale: Float
    ) -> LossSum {
        var sum = qat_loss_sum()
        qat_cross_entropy_f32(logits, &sum, targets, rows, vocabularySize, gradientScale)
        return LossSum(sum)
    }
}

/// One AdamW update's constants.
public struct AdamWStep: Sendable, Equatable {
    /// Learning rate of this step.
    public var learningRate: Float
    /// Decay of the first moment.
    public var beta1: Float
    /// Decay of the second moment.
    public var beta2: Float
    /// Added to the root of the second moment.
    public var epsilon: Float
    /// Decoupled weight decay; 0 for one-dimensional parameters.
    public var weightDecay: Float
    /// `1 - beta1^step`.
    public var biasCorrection1: Float
    /// `1 - beta2^step`.
    public var biasCorrection2: Float
    /// Multiplies the gradient first: clipping by global norm.
    public var gradientScale: Float
    /// What BF16 moments are rounded by: another one for each step.
    public var seed: UInt32

    /// An update's constants, all given.
    public init(
        learningRate: Float,
        beta1: Float,
        beta2: Float,
        epsilon: Float,
        weightDecay: Float,
        biasCorrection1: Float,
        biasCorrection2: Float,
        gradientScale: Float,
        seed: UInt32
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.biasCorrection1 = biasCorrection1
        self.biasCorrection2 = biasCorrection2
        self.gradientScale = gradientScale
        self.seed = seed
    }
}

/// The kernels of the optimizer, on the calling thread.
public enum OptimizerKernels {
    /// Sum of squares, in double.
    public static func sumOfSquares(_ values: UnsafePointer<Float>, count: Int) -> Double {
        qat_sum_of_squares_f32(values, count)
    }

    /// Updates weights and both moments in place.
    public static func adamW(
        weights: UnsafeMutablePointer<Float>,
        firstMoment: UnsafeMutablePointer<Float>,
        secondMoment: UnsafeMutablePointer<Float>,
        gradient: UnsafePointer<Float>,
        count: Int,
        step: AdamWStep
    ) {
        var cStep = step.cStep
        qat_adamw_f32(weights, firstMoment, secondMoment, gradient, count, &cStep)
    }

    /// The same with moments kept as BF16, rounded at random by the step's seed and each element's place;
    /// `first` is that of the first.
    public static func adamW(
        weights: UnsafeMutablePointer<Float>,
        firstMoment: UnsafeMutablePointer<UInt16>,
        secondMoment: UnsafeMutablePointer<UInt16>,
        gradient: UnsafePointer<Float>,
        count: Int,
        first: Int,
        step: AdamWStep
    ) {
        var cStep = step.cStep
        qat_adamw_bf16_f32(
            weights,
            firstMoment,
            secondMoment,
            gradient,
            count,
            first,
            step.seed,
            &cStep
        )
    }
}

extension AdamWStep {
    fileprivate var cStep: qat_adamw {
        qat_adamw(
            learning_rate: learningRate,
            beta1: beta1,
            beta2: beta2,
            epsilon: epsilon,
            weight_decay: weightDecay,
            bias_correction1: biasCorrection1,
            bias_correction2: biasCorrection2,
            gradient_scale: gradientScale
        )
    }
}
