/// Schemas of the `data` section.
enum DataSchema {
    private static let texts = ValueSchema.array(
        .input(.text, allowsModel: false),
        count: 0...1024
    )

    static let calibrating = ObjectSchema(common)

    static let training = ObjectSchema(
        [
            .init(
                "train",
                .array(.input(.text, allowsModel: false), count: 1...1024),
                required: true,
                "Training texts, one after the other."
            ),
            .init(
                "validation",
                texts,
                "Validation texts; perplexities are measured on them."
            ),
        ] + common
    )

    private static let common: [ObjectSchema.Field] = [
        .init("calibration", texts, "Calibration texts."),
        .init(
            "data_impl",
            .words(DataOptions.Implementation.self),
            default: .string("text"),
            "Plain text files, or Megatron's .bin and .idx pairs by their common prefix."
        ),
        .init("splits_string", .splits, "Shares of training, validation and test."),
        .init("seq_length", .integer(2...1_048_576), default: .number(256), "Tokens per window."),
        .init(
            "num_workers",
            .integer(0...1024),
            default: .number(0),
            "Reader processes; the engines read ahead by themselves."
        ),
        .init(
            "dataloader_type",
            .words(DataOptions.LoaderType.self),
            default: .string("single"),
            "In which order windows are drawn."
        ),
        .init(
            "reset_position_ids",
            .boolean,
            default: .boolean(false),
            "Whether positions restart at a document's end."
        ),
        .init(
            "reset_attention_mask",
            .boolean,
            default: .boolean(false),
            "Whether attention ends at a document's end."
        ),
        .init(
            "eod_mask_loss",
            .boolean,
            default: .boolean(false),
            "Whether the end-of-document token is left out of the loss."
        ),
        .init(
            "skip_warmup",
            .boolean,
            default: .boolean(true),
            "Whether the corpus is not read once in advance."
        ),
    ]
}
