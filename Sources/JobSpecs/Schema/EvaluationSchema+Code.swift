extension EvaluationSchema {
    /// Programs that the model writes.
    static func code(_ type: ObjectSchema.Field) -> ObjectSchema {
        ObjectSchema([
            type,
            .init(
                "problems",
                .input(.text),
                required: true,
                "HumanEval.jsonl, unpacked, or problems in its layout."
            ),
            .init(
                "samples",
                .integer(1...1000),
                default: .number(1),
                "Programs that the model writes for each problem."
            ),
            .init(
                "temperature",
                .number(.from(0)),
                default: .number(0),
                "How freely tokens are drawn; 0 takes the most likely one, every time."
            ),
            .init(
                "top_p",
                .number(.above(0, through: 1)),
                default: .number(1),
                "Tokens are drawn from the likeliest that together have this share."
            ),
            .init(
                "max_tokens",
                .integer(1...1_048_576),
                default: .number(512),
                "Tokens of a program at most."
            ),
            .init(
                "k",
                .array(.integer(1...100), count: 1...3),
                default: .array([.number(1)]),
                "pass@k is told for these: 1, 10, 100, none above samples."
            ),
            .init(
                "timeout_s",
                .number(.above(0, through: 600)),
                default: .number(3),
                "Seconds of a processor that a program and its tests may take."
            ),
            .init(
                "limit",
                .integer(1...1_000_000),
                "Problems from the file's start; all by default."
            ),
        ])
    }
}
