/// Where the scales of weights come from while a model trains.
public enum ScaleSource: String, Sendable, CaseIterable {
    /// Found from the weights at every step.
    case followed
    /// Found before the first step, and kept.
    case kept
    /// Found before the first step, and then trained beside the weights.
    case learned
}
