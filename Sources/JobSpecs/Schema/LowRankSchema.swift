/// The schema of the `lora` section, whose keys are PEFT's.
enum LowRankSchema {
    static let section = ObjectSchema([
        .init(
            "r",
            .integer(1...1024),
            default: .number(8),
            "The adapters' rank: B is [out, r], A is [r, in]."
        ),
        .init(
            "lora_alpha",
            .number(.above(0)),
            "B A is multiplied by lora_alpha / r; r by default, which makes it 1."
        ),
        .init(
            "target_modules",
            .array(.pattern, count: 1...64),
            "Patterns of the decoder's linear layers that get adapters: globs over module names, or the end "
                + "of one, as q_proj; all of them by default."
        ),
        .init(
            "use_rslora",
            .boolean,
            default: .boolean(false),
            "Divide lora_alpha by the root of r instead."
        ),
        .init(
            "lora_dropout",
            .number(.from(0, below: 1)),
            default: .number(0),
            "Only 0: adapter and base are rounded as one weight, which has no inputs of the adapter's own."
        ),
    ])
}
