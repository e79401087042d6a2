/// Schemas of the `data` section.
enum DataSchema {
    private static let texts = ValueSchema.array(
        .input(.text),
        count: 0...1024
    )

    static let calibrating = ObjectSchema(common)

    static let training = ObjectSchema(
        [
            .init(
                "train",
                .array(.input(.text), count: 1...1024),
                "Training texts, one after the other; what there is of generated comes behind them. One of "
                    + "both is needed."
            ),
            .init(
                "generated",
                .object(generated),
                "Text that the model, or the teacher of a distillation, makes by itself before the first "
                    + "step: training without data."
            ),
            .init(
                "validation",
                texts,
                "Validation texts; perplexities are measured on them."
            ),
            .init(
                "sampling",
                .words(DataOptions.Sampling.self),
                default: .string("random"),
                pasted: [
                    "\"shuffle\"": "write \"epoch\"", "\"sequential\"": "write \"epoch\"",
                    "\"cyclic\"": "write \"epoch\"",
                ],
                "Windows at random offsets of the training text, or with epoch those that lie end to end, "
                    + "each once an epoch, in another order each time."
            ),
        ] + common
    )

    private static let generated = ObjectSchema([
        .init(
            "windows",
            .integer(1...1_000_000),
            required: true,
            "Windows of seq_length tokens. They are kept beside the job's checkpoints, so that another "
                + "attempt on that worker has the same ones at once."
        ),
        .init(
            "temperature",
            .number(.above(0, through: 4)),
            default: .number(1),
            "1 draws tokens from the model's own distribution; below, likelier ones more often."
        ),
    ])

    /// The key of texts in JSON lines.
    static let textKey = ObjectSchema.Field(
        "text_key",
        .text(maximumByteCount: 256),
        default: .string("text"),
        "The key under which the lines of .jsonl files hold their texts."
    )

    /// Whether windows may be longer than the model's context.
    static let longContext = ObjectSchema.Field(
        "allow_long_context",
        .boolean,
        default: .boolean(false),
        "Whether more positions than the model was made for may be used."
    )

    private static let common: [ObjectSchema.Field] = [
        .init(
            "calibration",
            texts,
            "Calibration texts; of trainings those with a method to start by, data.train if there are "
                + "none."
        ),
        .init(
            "data_impl",
            .words(DataOptions.Implementation.self),
            default: .string("text"),
            "Plain text files; Megatron's .bin and .idx pairs by their common prefix (mmap) are not in "
                + "this version."
        ),
        .init(
            "splits_string",
            .splits,
            "Shares of training, validation and test; not in this version, name validation texts."
        ),
        .init("seq_length", .integer(2...1_048_576), default: .number(256), "Tokens per window."),
        textKey,
        longContext,
        .init(
            "num_workers",
            .integer(0...1024),
            default: .number(0),
            "Has no effect: the engines read ahead by themselves."
        ),
        .init(
            "dataloader_type",
            .words(DataOptions.LoaderType.self),
            default: .string("single"),
            "Has no effect: windows are drawn at random by the seed."
        ),
        .init(
            "reset_position_ids",
            .boolean,
            default: .boolean(false),
            "Whether positions restart at a document's end; true is not in this version."
        ),
        .init(
            "reset_attention_mask",
            .boolean,
            default: .boolean(false),
            "Whether attention ends at a document's end; true is not in this version."
        ),
        .init(
            "eod_mask_loss",
            .boolean,
            default: .boolean(false),
            "Whether the end-of-document token is left out of the loss; true is not in this version."
        ),
        .init(
            "skip_warmup",
            .boolean,
            default: .boolean(true),
            "Has no effect: texts are tokenized before the first step."
        ),
    ]
}
