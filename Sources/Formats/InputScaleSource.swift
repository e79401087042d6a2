/// Where the scales of inputs of linear layers come from while a model trains.
public enum InputScaleSource: String, Sendable, CaseIterable {
    /// Found in the inputs of each pass.
    case dynamic
    /// Found on text before the first step, and kept: larger inputs are clipped.
    case calibrated
    /// Found likewise, and then trained beside the weights.
    case learned
}
