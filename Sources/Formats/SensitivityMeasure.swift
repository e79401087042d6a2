/// How the cost of a format to a layer is measured.
public enum SensitivityMeasure: String, Sendable, CaseIterable {
    /// The error of the layer's outputs on calibration inputs, relative to the outputs: quick.
    case outputError = "output_error"
    /// The KL divergence of the model's next-token distributions: a pass per candidate.
    case divergence = "kl"
}
