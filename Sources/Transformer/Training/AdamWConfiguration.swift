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
    /// Gradients are scaled down to this global L2 norm; 0 for no clipping.
    public var gradientClipNorm: Double

    /// Constants; the defaults are the product's.
    public init(
        beta1: Double = 0.9,
        beta2: Double = 0.95,
        epsilon: Double = 1e-8,
        weightDecay: Double = 0.01,
        gradientClipNorm: Double = 1
    ) {
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.gradientClipNorm = gradientClipNorm
    }
}
