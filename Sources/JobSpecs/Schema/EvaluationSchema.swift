/// Schemas of an evaluation's rows and tasks.
enum EvaluationSchema {
    static let model = ObjectSchema([
        .init("label", .text(maximumByteCount: 64), required: true, "The row's name."),
        .init(
            "model",
            .input(.model),
            required: true,
            "A GGUF file or a Hugging Face folder, job:ID[/output], or sha256:DIGEST. "
                + InputReference.idRule
        ),
        activations(default: nil),
    ])

    /// How activations are rounded: of the job, or of one model.
    static func activations(default word: EvaluateSpec.Activations?) -> ObjectSchema.Field {
        .init(
            "activations",
            .choice(EvaluateSpec.Activations.allCases.map(\.rawValue)),
            default: word.map { .string($0.rawValue) },
            "Inputs of linear layers, keys and values: rounded as the model's files say, or none."
        )
    }

    static let baseline = ObjectSchema.Field(
        "baseline",
        .text(maximumByteCount: 64),
        "The label of the model that the others are compared with; the first by default."
    )

    static let recoveredFrom = ObjectSchema.Field(
        "recovered_from",
        .text(maximumByteCount: 64),
        "The label of a model, as one rounded to nearest: of what it loses against the baseline, each row says "
            + "the share that its model wins back."
    )

    static let tasks = EvaluateSpec.TaskType.allCases.map { type in
        ValueSchema.Variant(
            name: type.rawValue,
            schema: schema(of: type)
        )
    }

    static func schema(of type: EvaluateSpec.TaskType) -> ObjectSchema {
        func word(_ documentation: String = "The task.") -> ObjectSchema.Field {
            .init("type", .choice([type.rawValue]), required: true, documentation)
        }
        return switch type {
        case .perplexity, .accuracy: windows(word())
        case .divergence:
            windows(
                word(),
                .init(
                    "reference",
                    .text(maximumByteCount: 64),
                    required: true,
                    "The label of the model that the others are compared with."
                )
            )
        case .benchmark: benchmark(word())
        case .humaneval: code(word("The task; for workers that may run code."))
        case .mmlu, .hellaswag, .arcEasy, .arcChallenge, .piqa, .winogrande, .truthfulQAOne,
            .truthfulQASeveral, .boolq, .gsm8k:
            QuestionSchema.schema(of: type, word())
        }
    }

    private static func windows(
        _ type: ObjectSchema.Field,
        _ more: ObjectSchema.Field...
    ) -> ObjectSchema {
        ObjectSchema(
            [type] + more + [
                .init("text", .input(.text), required: true, "The text."),
                .init(
                    "seq_length",
                    .integer(2...1_048_576),
                    default: .number(512),
                    "Tokens per window."
                ),
                .init(
                    "windows",
                    .integer(1...1_000_000),
                    "Windows from the text's start; all by default."
                ),
                DataSchema.textKey,
                DataSchema.longContext,
            ]
        )
    }

    private static func benchmark(_ type: ObjectSchema.Field) -> ObjectSchema {
        ObjectSchema([
            type,
            .init(
                "batch_size",
                .integer(1...256),
                default: .number(1),
                "Texts at once."
            ),
            .init(
                "input_len",
                .integer(1...1_048_576),
                default: .number(256),
                "Prompt tokens of each."
            ),
            .init(
                "output_len",
                .integer(1...1_048_576),
                default: .number(64),
                "Generated tokens of each."
            ),
            .init("num_runs", .integer(1...100_000), default: .number(100), "Measured runs."),
            .init("warm_up", .integer(0...100_000), default: .number(10), "Runs before them."),
            DataSchema.longContext,
        ])
    }
}
