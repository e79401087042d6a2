/// How one parameter of a checkpoint compares with that of the model it was made from.
public struct TensorComparison: Sendable, Equatable {
    /// What became of it.
    public enum Verdict: String, Sendable, CaseIterable {
        /// Every value is the source's.
        case exact
        /// The noise is what rounding to the stored width makes.
        case rounded
        /// There is more noise than that, but the checkpoint says of its making that weights were
        /// scaled or rotated before they were rounded.
        case changed
        /// There is more noise than that, or nothing to compare.
        case differs
    }

    /// The parameter's name, as in `model.layers.0.mlp.up_proj.weight`.
    public let name: String
    /// What became of it.
    public let verdict: Verdict
    /// The largest difference; infinite if a value is NaN, nil if shapes do not agree.
    public let maximumDifference: Float?
    /// Signal to noise, infinite without noise; nil if shapes do not agree.
    public let sqnrDecibels: Double?
    /// What was found and what may be the reason, in one line; empty unless it differs.
    public let message: String

    /// A comparison.
    public init(
        name: String,
        verdict: Verdict,
        maximumDifference: Float?,
        sqnrDecibels: Double?,
        message: String
    ) {
        self.name = name
        self.verdict = verdict
        self.maximumDifference = maximumDifference
        self.sqnrDecibels = sqnrDecibels
        self.message = message
    }
}

extension TensorComparison {
    /// A parameter without counterpart of its shape.
    static func incomparable(_ name: String, _ message: String) -> Self {
        Self(
            name: name,
            verdict: .differs,
            maximumDifference: nil,
            sqnrDecibels: nil,
            message: message
        )
    }
}
