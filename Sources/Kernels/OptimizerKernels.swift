internal import CKernels

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
    /// What BF16 and one-byte moments are rounded by: another one for each step.
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

    /// The same with moments of one byte, whose blocks of ``momentBlock`` elements begin at the pointers;
    /// each block has a scale.
    public static func adamW(
        weights: UnsafeMutablePointer<Float>,
        firstMoment: BlockMoment,
        secondMoment: BlockMoment,
        gradient: UnsafePointer<Float>,
        count: Int,
        first: Int,
        step: AdamWStep
    ) {
        var cStep = step.cStep
        qat_adamw_u8_f32(
            weights,
            firstMoment.codes,
            firstMoment.scales,
            secondMoment.codes,
            secondMoment.scales,
            gradient,
            count,
            first,
            step.seed,
            &cStep
        )
    }

    /// Elements of a moment of one byte that share a scale.
    public static let momentBlock = Int(QAT_MOMENT_BLOCK)

    /// Compares rounded weights with what they were, and takes frozen ones back; see
    /// `qat_track_flips_f32`.
    public static func trackFlips(_ flips: FlipPointers, count: Int, rule: FlipRule) {
        var cRule = qat_flip_rule(momentum: rule.momentum, threshold: rule.threshold)
        qat_track_flips_f32(
            flips.weights,
            flips.rounded,
            flips.previous,
            flips.mean,
            flips.frequency,
            flips.state,
            count,
            &cRule
        )
    }

    /// Freezes weights that are about to be to what they are rounded to now; see `qat_freeze_flips_f32`.
    public static func freezeFlips(_ flips: FlipPointers, count: Int) {
        qat_freeze_flips_f32(flips.weights, flips.rounded, flips.previous, flips.state, count)
    }

    /// `average += share · (values - average)`.
    public static func average(
        _ average: UnsafeMutablePointer<Float>,
        toward values: UnsafePointer<Float>,
        share: Float,
        count: Int
    ) {
        qat_average_f32(average, values, count, share)
    }
}

/// A moment of one byte per element, and a scale per block.
public struct BlockMoment {
    /// A code for each element.
    public let codes: UnsafeMutablePointer<UInt8>
    /// A scale for each block of ``OptimizerKernels/momentBlock`` codes.
    public let scales: UnsafeMutablePointer<Float>

    /// A moment.
    public init(codes: UnsafeMutablePointer<UInt8>, scales: UnsafeMutablePointer<Float>) {
        self.codes = codes
        self.scales = scales
    }

    /// From the block that element `start`, the first of one, is in.
    public func from(_ start: Int) -> BlockMoment {
        BlockMoment(codes: codes + start, scales: scales + start / OptimizerKernels.momentBlock)
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
