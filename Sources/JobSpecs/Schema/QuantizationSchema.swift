internal import Formats

/// Schemas of the `quantization` section.
enum QuantizationSchema {
    private static func algorithm(unless alternative: String? = nil) -> ObjectSchema.Field {
        ObjectSchema.Field(
            "algorithm",
            .format,
            required: true,
            unless: alternative,
            "The weights' format: mx… has a power-of-two scale per block, nv… an E4M3 scale per block "
                + "and one per tensor; fp8, fp6 and fp4 mean mxfp8, mxfp6_e2m3 and mxfp4."
                + (alternative.map { " With \($0), their first, or left out." } ?? "")
        )
    }

    private static let formats = ObjectSchema.Field(
        "formats",
        .array(.format, count: 2...8),
        "Instead of algorithm, the formats that one training is for: optimizer steps round the same "
            + "weights to each in turn, by the step's number. Validations and results are of every format, "
            + "and so are exports that name none as their precision."
    )

    // Shared by rules and sections: no default, since nvfp4's is 16 and a rule's is its section's.
    private static let granularity = ObjectSchema.Field(
        "scaling_granularity",
        .integer(2...4096),
        "Elements per scale, usually 8, 16 or 32 (default; of nv… 16); divides a layer's inputs."
    )

    private static let layer = ObjectSchema([
        .init(
            "pattern",
            .pattern,
            required: true,
            "A glob over module names (* and ?), or re: and a regular expression."
        ),
        algorithm(),
        granularity,
    ])

    private static let stage = ObjectSchema([
        .init(
            "until",
            .number(.above(0, through: 1)),
            required: true,
            "The stage holds while progress is below this; ascending, 1 for the last."
        ),
        algorithm(),
    ])

    private static let schedule = ObjectSchema([
        .init(
            "stages",
            .array(.object(stage), count: 1...16),
            required: true,
            "Formats in the order of the run."
        )
    ])

    /// For jobs that round a trained model.
    static let afterTraining = ObjectSchema(
        [algorithm()] + common + PostTrainingSchema.fields
    )

    private static let oscillation = ObjectSchema([
        .init(
            "dampen",
            .number(.above(0)),
            "The weight l of the damping loss l times the sum of squares of w - Q(w), whose gradient holds "
                + "each weight to the middle of its code's range, so that it flips less often: from none "
                + "at the run's beginning to all at its end, in half a cosine."
        ),
        .init(
            "freeze",
            .number(.above(0, through: 1)),
            "How often a weight's code may flip, as a running mean over the steps: beyond it the weight is "
                + "frozen, to what the running mean of its rounded values is rounded to; 0.01 to 0.04 is usual."
        ),
        .init(
            "flip_momentum",
            .number(.between(0, 1)),
            default: .number(0.01),
            "With freeze: the latest step's share in the running means."
        ),
    ])

    /// For jobs that train under quantization.
    static let whileTraining = ObjectSchema(
        [algorithm(unless: "formats"), formats] + common + [
            .init(
                "ste",
                .words(StraightThrough.self),
                default: .string("identity"),
                "How gradients pass the rounding: unchanged, or zero where a value saturated."
            ),
            .init(
                "oscillation",
                .object(oscillation),
                "What is done against weights that flip between two codes step after step."
            ),
            .init(
                "output_correction",
                .boolean,
                default: .boolean(false),
                "Train a bias on the output of every quantized linear layer for which the model's checkpoints "
                    + "have a place, where it has none: all that config.json's attention_bias and mlp_bias "
                    + "name. They begin at zero; exports hold them and set the keys."
            ),
            .init(
                "rounding",
                .words(TrainingRounding.self),
                default: .string("nearest"),
                "How a training step rounds weights: nearest, or stochastic (up or down at random, right in "
                    + "the mean); validations and exports round to nearest."
            ),
            .init(
                "scales",
                .words(ScaleSource.self),
                "Scales of linear layers' weights: followed (found from the weights at every step; the "
                    + "default of method max), kept (found by the method before the first step; the "
                    + "default of the others), or learned from there on (mx… and nv…)."
            ),
            .init(
                "scale_lr",
                .number(.above(0, through: 1)),
                default: .number(1e-4),
                "With learned scales: their peak learning rate, on the course of optim's."
            ),
            .init(
                "activation_scales",
                .words(InputScaleSource.self),
                default: .string("dynamic"),
                "Scales per tensor of activations (nvfp4, fp8_per_tensor): dynamic (found as the model runs), "
                    + "calibrated (the largest inputs of calibration text; what is larger is clipped), or "
                    + "learned from there on (PACT: a clipping threshold for each input, trained beside the "
                    + "weights). Exports store the last two."
            ),
            .init(
                "clip_lr",
                .number(.above(0, through: 1)),
                default: .number(0.01),
                "With learned activation_scales: the thresholds' peak learning rate, on the course of optim's, "
                    + "relative to the calibrated ones."
            ),
            .init(
                "clip_decay",
                .number(.from(0)),
                default: .number(1e-4),
                "With learned activation_scales: the weight of the sum of squares of thresholds, relative to "
                    + "the calibrated ones, in the loss: without it they never come down."
            ),
            .init(
                "schedule",
                .objectOrWord(schedule, [QuantizationOptions.progressive]),
                "Progressive quantization: formats by progress through the run; \"progressive\" alone "
                    + "is fp8 for the first 30 %, fp6 up to 70 %, then algorithm, without stages that "
                    + "are no more precise than it. Layers with a rule take the more precise of rule "
                    + "and stage (more bits per element, then finer blocks), and end at the rule's "
                    + "format; submit --dry-run shows every layer in every stage."
            ),
        ]
    )

    private static let common: [ObjectSchema.Field] = [
        granularity,
        .init(
            "activations",
            .format,
            default: .string("none"),
            "The format of the inputs of linear layers."
        ),
        .init(
            "scale_mode",
            .words(ScaleMode.self),
            default: .string("floor"),
            "How a block's scale is chosen: a power of two, of mx… formats; four_over_six, of nvfp4 "
                + "weights: the block's largest value becomes 6 or 4, by the smaller squared error."
        ),
        .init(
            "tie_rule",
            .words(TieRule.self),
            default: .string("even"),
            "Where a value halfway between two codes goes."
        ),
        .init(
            "layers",
            .array(.object(layer), count: 0...64),
            "Formats by module name; the last pattern that matches wins. With a schedule a rule names "
                + "where a layer ends: in each stage before the last the layer takes the more precise "
                + "of rule and stage."
        ),
        .init(
            "enable_micro_tensor_scaling",
            .boolean,
            default: .boolean(true),
            "One scale per block; false asks for one per tensor."
        ),
        .init(
            "enable_kv_cache",
            .boolean,
            default: .boolean(false),
            "Quantize keys and values, too: FP8 under a scale per layer and tensor, calibrated; a "
                + "training rounds them so from its first step, under scales found there."
        ),
        .init(
            "calibration_size",
            .integer(1...10_000),
            default: .number(512),
            "Calibration windows that are used; of trainings those with a method to start by."
        ),
        .init(
            "method",
            .words(PostTrainingOptions.Method.self),
            default: .string("max"),
            "How scales and codes are found after training; in a training, by max, percentile, mse or "
                + "sweep, how scales are found before the first step: see scales."
        ),
        .init(
            "percentile",
            .number(.above(0, through: 100)),
            default: .number(99.99),
            "With percentile: magnitudes above it saturate."
        ),
    ]
}
