internal import Formats

/// Members of the `quantization` section that only jobs after training have.
enum PostTrainingSchema {
    static let fields: [ObjectSchema.Field] = [
        .init(
            "scale_search",
            .words(ScaleSearch.Name.self),
            "How block scales are found, where it is not the method's own: max, percentile, mse, "
                + "or sweep over every E4M3 scale (nv formats)."
        ),
        .init(
            "rounding",
            .words(PostTrainingMethod.Rounding.Name.self),
            "How codes are found, where it is not the method's own; gptq and autoround go with awq and "
                + "smoothquant, too."
        ),
        .init(
            "iterations",
            .integer(1...10_000),
            default: .number(200),
            "With autoround: steps per decoder layer, each a forward and a backward pass of the layer."
        ),
        .init(
            "iteration_windows",
            .integer(1...1024),
            default: .number(2),
            "With autoround: calibration windows per step, drawn anew for each."
        ),
        .init(
            "damping",
            .number(.above(0, through: 1)),
            default: .number(0.01),
            "With gptq: the share of the mean diagonal that is added to it."
        ),
        .init(
            "activation_order",
            .boolean,
            default: .boolean(false),
            "With gptq: take columns in order of falling input strength."
        ),
        .init(
            "migration",
            .number(.from(0, below: 1)),
            default: .number(0.5),
            "With smoothquant: how much of the inputs' outliers goes into the weights."
        ),
        .init(
            "rotation",
            .words(PostTrainingOptions.Rotation.self),
            default: .string("none"),
            "Rotate by Hadamard blocks before rounding, fused into the weights; unties the head."
        ),
        .init(
            "effective_bits",
            .number(.above(0, through: 16)),
            "Choose a format per layer so that stored bits per weight, block scales included, "
                + "stay within this."
        ),
        .init(
            "candidates",
            .array(.choice(QuantizationFormat.names), count: 2...8),
            "With effective_bits: the formats to choose from; the algorithm, mxfp6_e2m3 and mxfp8."
        ),
        .init(
            "sensitivity",
            .words(SensitivityMeasure.self),
            default: .string("output_error"),
            "With effective_bits: cost by a layer's outputs (quick) or by the model's (kl)."
        ),
        .init(
            "kv_cache",
            .words(PostTrainingOptions.CacheScales.self),
            "Scales of keys and values for FP8 caches: none, fp8 (calibrated; what enable_kv_cache "
                + "asks for), fp8_cast (all 1)."
        ),
    ]
}
