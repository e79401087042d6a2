/// AdamW's constants.
///
/// - SeeAlso: Loshchilov and Hutter 2019, arXiv:1711.05101.
public struct AdamWConfiguration: Sendable, Codable, Equatable {
    /// Decay of the first moment, in 0 ..< 1.
    public var beta1: Double
    /// Decay of the second moment, in 0 ..< 1.
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
        beta1: Double = 0.9,
        beta2: Double = 0.95,
        epsilon: Double = 1e-8,
        weightDecay: Double = 0.01,
        moments: MomentPrecision = .float32,
        gradientClipNorm: Double = 1
    ) {
        self.moments = moments
        self.beta1 = beta1
        self.beta2 = beta2
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

    /// Bytes of an element.
    var byteCount: Int { self == .float32 ? 4 : 2 }
}
