/// How gradients pass where the forward pass clipped.
public enum StraightThrough: String, Sendable, Codable, CaseIterable {
    /// Everywhere as they are.
    case identity
    /// Zero where the value saturated.
    case clip
}
