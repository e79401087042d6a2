/// Schemas of the `data` section.
enum DataSchema {
    private static let texts = ValueSchema.array(
        .input(.text),
        count: 0...1024
    )

    static let calibrating = ObjectSchema(common(isTraining: false))

    static let training = ObjectSchema(
        [
            .init(
                "train",
                .array(.input(.text), count: 1...1024),
                "Training texts, one after the other, or corpora, whose documents are read as those of one; "
                    + "what there is of generated comes behind texts. One of both is needed."
            ),
            .init(
                "train_weights",
                .array(.number(.above(0, through: 1e9)), count: 1...1024),
                "A weight for each of train, of any sum: windows are then drawn from each in proportion, in the "
                    + "order of Megatron's blends, each from one text alone. An epoch stays as many windows as "
                    + "all texts hold. Without it they are read as one, each by its length."
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
                "Validation texts or corpora; perplexities are measured on their windows from the beginning."
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
                    + "each once an epoch, in another order each time. Of texts; see dataloader_type for "
                    + "corpora."
            ),
        ] + common(isTraining: true)
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

    /// The keys of both kinds of jobs, some of which only trainings heed.
    private static func common(isTraining: Bool) -> [ObjectSchema.Field] {
        [
            .init(
                "calibration",
                texts,
                "Calibration texts or corpora; of trainings those with a method to start by, data.train if "
                    + "there are none."
            ),
            .init(
                "data_impl",
                .words(DataOptions.Implementation.self),
                default: .string("text"),
                "Text files, or with mmap corpora in Megatron's indexed format, each by the common prefix of "
                    + "its .bin and .idx (qat-client preprocess makes them)."
            ),
            .init(
                "seq_length",
                .integer(2...1_048_576),
                default: .number(256),
                "Tokens per window."
            ),
            textKey,
            longContext,
        ] + loading(isTraining: isTraining) + documents(isTraining: isTraining)
    }

    private static func loading(isTraining: Bool) -> [ObjectSchema.Field] {
        func text(_ what: String) -> String {
            isTraining ? what : "Has no effect: calibration draws its windows once, by the seed."
        }
        return [
            .init(
                "splits_string",
                .splits,
                isTraining
                    ? "Shares of a corpus's documents for training, validation and test, such as 99,1,0: "
                        + "rounded as Megatron rounds them. The second serves where validation is empty, the "
                        + "third nowhere. Not of texts."
                    : "Shares of a corpus; of trainings alone."
            ),
            .init(
                "num_workers",
                .integer(0...64),
                default: .number(0),
                text(
                    "Threads that read windows ahead of the training; 0 reads them between steps. The "
                        + "windows are the same."
                )
            ),
            .init(
                "dataloader_type",
                .words(DataOptions.LoaderType.self),
                default: .string("single"),
                text(
                    "The order of a corpus's windows. Single: that of Megatron's GPTDataset for the whole "
                        + "run, documents and windows shuffled by the seed. Cyclic: one epoch of it again "
                        + "and again, permuted by the epoch's number. Texts have sampling instead."
                )
            ),
            .init(
                "skip_warmup",
                .boolean,
                default: .boolean(true),
                text(
                    "False reads a corpus once before the first step, which brings it into the machine's "
                        + "page cache and checks every token. Texts are read whole anyway."
                )
            ),
        ]
    }

    private static func documents(isTraining: Bool) -> [ObjectSchema.Field] {
        func text(_ what: String) -> String {
            isTraining ? what : "Of trainings; true is not in this version for calibration."
        }
        return [
            .init(
                "reset_position_ids",
                .boolean,
                default: .boolean(false),
                text(
                    "Whether positions begin at 0 again behind the model's end-of-text token, in training "
                        + "and its validation, for the teacher, too."
                )
            ),
            .init(
                "reset_attention_mask",
                .boolean,
                default: .boolean(false),
                text(
                    "Whether tokens behind an end-of-text token see nothing before them, so that documents in "
                        + "a window do not touch each other; likewise."
                )
            ),
            .init(
                "eod_mask_loss",
                .boolean,
                default: .boolean(false),
                text(
                    "Whether the position of an end-of-text token, which would foretell another document's "
                        + "beginning, counts in no loss; likewise."
                )
            ),
            .init(
                "answer_only_loss",
                .boolean,
                default: .boolean(true),
                isTraining
                    ? "Whether of conversations (lines of .jsonl files with messages, which the model's chat "
                        + "template renders) only the assistant's words count in the loss, in training and its "
                        + "validation. Other texts count whole."
                    : "Has no effect: calibration has no loss on text."
            ),
        ]
    }
}
