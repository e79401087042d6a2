/// What an optimizer is, and its constants.
///
/// - SeeAlso: Loshchilov and Hutter 2019, arXiv:1711.05101; Chen et al. 2023, arXiv:2302.06675.
public struct OptimizerConfiguration: Sendable, Codable, Equatable {
    /// How moments move weights.
    public enum Rule: Sendable, Codable, CaseIterable {
        /// By the first moment over the root of the second.
        case adamW
        /// By the sign of the only moment, mixed with the gradient.
        case lion

        /// Moments that are kept.
        var momentCount: Int { self == .adamW ? 2 : 1 }
    }

    /// How moments move weights.
    public var rule: Rule
    /// Decay of the first moment, in 0 ..< 1; of Lion, the moment's share of the direction.
    public var beta1: Double
    /// Decay of the second moment, in 0 ..< 1; of Lion, that of its only one.
    public var beta2: Double
    /// Added to the root of the second moment.
    public var epsilon: Double
    /// Decoupled decay of matrices; vectors are not decayed.
    public var weightDecay: Double
    /// What the moments are kept as.
    public var moments: MomentPrecision
    /// Gradients are scaled down to this global L2 norm; 0 for no clipping.
    public var gradientClipNorm: Double

    /// Constants; the defaults are the product's.
    public init(
        _ rule: Rule = .adamW,
        beta1: Double = 0.9,
        beta2: Double? = nil,
        epsilon: Double = 1e-8,
        weightDecay: Double = 0.01,
        moments: MomentPrecision = .float32,
        gradientClipNorm: Double = 1
    ) {
        self.rule = rule
        self.moments = moments
        self.beta1 = beta1
        self.beta2 = beta2 ?? (rule == .adamW ? 0.95 : 0.99)
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.gradientClipNorm = gradientClipNorm
    }
}

/// What an optimizer's moments are kept as; they are computed in FP32.
public enum MomentPrecision: String, Sendable, Codable, CaseIterable {
    /// As they are computed.
    case float32
    /// Rounded at random to BF16, the nearer neighbour the more often: half of the memory, and right in the
    /// mean.
    case bfloat16
    /// Rounded so to codes of one byte, with a scale for each 256 of them: a quarter.
    case int8

    /// Bytes of an element.
    var byteCount: Int {
        switch self {
        case .float32: 4
        case .bfloat16: 2
        case .int8: 1
        }
    }
}
