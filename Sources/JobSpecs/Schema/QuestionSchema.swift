/// Schemas of tasks over public sets of questions.
enum QuestionSchema {
    private static let files = ValueSchema.array(.input(.text), count: 1...512)

    /// Questions with answers to choose from or to generate.
    static func schema(
        of type: EvaluateSpec.TaskType,
        _ word: ObjectSchema.Field
    ) -> ObjectSchema {
        let choice = examples(of: type) + subjects(of: type) + [limit]
        return ObjectSchema([word, questions(of: type)] + choice)
    }

    private static func questions(of type: EvaluateSpec.TaskType) -> ObjectSchema.Field {
        let layout =
            type == .mmlu
            ? "Files of questions: tables as published, whose name is SUBJECT_test.csv, or JSON lines."
            : "Files of questions, JSON lines as published or as Hugging Face exports them."
        return .init("questions", files, required: true, layout)
    }

    private static func examples(of type: EvaluateSpec.TaskType) -> [ObjectSchema.Field] {
        let source =
            switch type {
            case .truthfulQAOne, .truthfulQASeveral: nil as String?
            case .mmlu: "the first ones of its subject, as of the split dev"
            default:
                "drawn for each question as lm-evaluation-harness draws them, as of the split train"
            }
        guard let source else { return [] }
        return [
            .init(
                "few_shot",
                .integer(0...64),
                default: .number(type == .gsm8k ? 5 : 0),
                "Answered questions that stand before each one."
            ),
            .init("examples", files, "Files that few_shot takes questions from: \(source)."),
        ]
    }

    private static func subjects(of type: EvaluateSpec.TaskType) -> [ObjectSchema.Field] {
        guard type == .mmlu else { return [] }
        return [
            .init(
                "subjects",
                .array(.text(maximumByteCount: 128), count: 1...512),
                "Subjects that are asked, as virology; all by default."
            )
        ]
    }

    private static let limit = ObjectSchema.Field(
        "limit",
        .integer(1...1_000_000),
        "Questions asked, from the beginning, of each subject; all by default."
    )
}
