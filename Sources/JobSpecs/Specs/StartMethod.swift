public import Formats

/// How a training's weights are rounded before its first step; the names are those of job files.
///
/// What a quantize job says in keys of its own is as that job has it where nothing is said, but that
/// GPTQ takes columns in order of falling input strength, which measures best (docs/QUANTIZATION.md).
public enum StartMethod: String, Sendable, CaseIterable {
    /// Outliers above a percentile saturate.
    case percentile
    /// Scales by least squared error.
    case mse
    /// Column by column, later columns making up for errors.
    case gptq
    /// Channels scaled by what their inputs matter.
    case awq
    /// Outliers of inputs moved into weights.
    case smoothquant
    /// Up or down, and under which scale, learned layer by layer.
    case autoround
    /// Channels as awq scales them, rounding as autoround learns it.
    case awqThenLearned = "awq+autoround"
    /// Channels as awq scales them, codes as gptq finds them.
    case awqThenGPTQ = "awq+gptq"
    /// Channels as smoothquant scales them, codes as gptq finds them.
    case smoothquantThenGPTQ = "smoothquant+gptq"

    /// The method.
    public var method: PostTrainingMethod {
        let gptq = PostTrainingMethod.Rounding.gptq(
            GPTQ(damping: 0.01, usesActivationOrder: true, search: .mse)
        )
        let smoothQuant = PostTrainingMethod.Smoothing.smoothQuant(migration: 0.5)
        return switch self {
        case .percentile: PostTrainingMethod(rounding: .nearest(.percentile(99.99)))
        case .mse: PostTrainingMethod(rounding: .nearest(.mse))
        case .gptq: PostTrainingMethod(rounding: gptq)
        case .autoround: PostTrainingMethod(rounding: .learned(LearnedRounding()))
        case .awqThenLearned:
            PostTrainingMethod(rounding: .learned(LearnedRounding()), smoothing: .activationAware)
        case .awq: PostTrainingMethod(rounding: .nearest(.mse), smoothing: .activationAware)
        case .smoothquant: PostTrainingMethod(rounding: .nearest(.max), smoothing: smoothQuant)
        case .awqThenGPTQ: PostTrainingMethod(rounding: gptq, smoothing: .activationAware)
        case .smoothquantThenGPTQ: PostTrainingMethod(rounding: gptq, smoothing: smoothQuant)
        }
    }
}
