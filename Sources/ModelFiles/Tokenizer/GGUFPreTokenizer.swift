/// The splits that `tokenizer.ggml.pre` names.
///
/// - SeeAlso: llama.cpp, `src/llama-vocab.cpp` and `conversion/base.py`, for names and expressions.
struct GGUFPreTokenizer: Sendable {
    /// The first is the one that is written.
    let names: [String]
    let preTokenizer: PreTokenizer
    /// What the models' own tokenizers do first; llama.cpp does nothing.
    let normalizer: [NormalizerStep]
    let ignoresMerges: Bool
    /// What llama.cpp takes `add_bos_token` for where it is not there.
    let addsBOS: Bool

    init(
        _ names: String...,
        steps: [PreTokenizer.Step],
        normalizer: [NormalizerStep] = [],
        ignoresMerges: Bool = false,
        addsBOS: Bool = false
    ) {
        self.names = names
        preTokenizer = PreTokenizer(steps: steps)
        self.normalizer = normalizer
        self.ignoresMerges = ignoresMerges
        self.addsBOS = addsBOS
    }

    private static let bytes = PreTokenizer.Step.byteLevel(
        addsPrefixSpace: false,
        usesExpression: false
    )
    private static let gpt2Bytes = PreTokenizer.Step.byteLevel(
        addsPrefixSpace: false,
        usesExpression: true
    )
    private static let digits = PreTokenizer.Step.digits(individual: true)

    private static func splits(_ expressions: SplitExpression...) -> [PreTokenizer.Step] {
        expressions.map { .split($0, .isolated, isInverted: false) }
    }

    static let all: [GGUFPreTokenizer] = [
        .init("gpt-2", "phi-2", "roberta-bpe", "mellum", steps: [gpt2Bytes]),
        .init("olmo", "mpt", steps: [gpt2Bytes], normalizer: [.canonicalComposition]),
        .init("smollm", "starcoder", "refact", "codeshell", steps: [digits, gpt2Bytes]),
        .init("command-r", steps: [digits, gpt2Bytes], normalizer: [.canonicalComposition]),
        .init(
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "pixtral",
            "lfm2",
            steps: splits(KnownExpressions.llama3) + [bytes],
            ignoresMerges: true,
            addsBOS: true
        ),
        .init("smaug-bpe", "dbrx", steps: splits(KnownExpressions.llama3) + [bytes]),
        .init(
            "qwen2",
            "deepseek-r1-qwen",
            "megrez",
            steps: splits(KnownExpressions.qwen2) + [bytes],
            normalizer: [.canonicalComposition]
        ),
        .init("stablelm2", steps: splits(KnownExpressions.qwen2) + [bytes]),
        .init(
            "deepseek-llm",
            steps: splits(
                KnownExpressions.lineEnds,
                KnownExpressions.deepSeekLetters,
                KnownExpressions.deepSeekSymbols,
                KnownExpressions.trailingSpace,
                KnownExpressions.deepSeekCJK
            ) + [digits, bytes]
        ),
        .init(
            "deepseek-coder",
            steps: splits(
                KnownExpressions.lineEnds,
                KnownExpressions.deepSeekCoderWords,
                KnownExpressions.deepSeekCoderPunctuation,
                KnownExpressions.deepSeekCJK
            ) + [digits, bytes]
        ),
        .init(
            "deepseek-v3",
            steps: splits(
                KnownExpressions.upToThreeDigits,
                KnownExpressions.deepSeek3CJK,
                KnownExpressions.deepSeek3
            ) + [bytes]
        ),
        .init(
            "tekken",
            steps: splits(KnownExpressions.tekken) + [bytes],
            ignoresMerges: true,
            addsBOS: true
        ),
        .init("gpt-4o", "llama4", steps: splits(KnownExpressions.gpt4o) + [bytes]),
        .init(
            "default",
            steps: splits(
                KnownExpressions.defaultPunctuation,
                KnownExpressions.gpt2,
                KnownExpressions.numbers,
                KnownExpressions.threeDigits
            ) + [bytes]
        ),
    ]

    static func named(_ name: String) -> GGUFPreTokenizer? {
        all.first { $0.names.contains(name) }
    }

    /// The name for a tokenizer's split; nil if there is none.
    ///
    /// Normal form C, which llama.cpp does not apply, tells names of equal splits apart.
    static func name(
        of preTokenizer: PreTokenizer,
        normalizer: [NormalizerStep],
        ignoresMerges: Bool
    ) -> String? {
        let steps = preTokenizer.steps.map(\.canonical)
        let fitting = all.filter { $0.preTokenizer.steps == steps }
        func score(_ candidate: GGUFPreTokenizer) -> Int {
            (candidate.ignoresMerges == ignoresMerges ? 2 : 0)
                + (candidate.normalizer == normalizer ? 1 : 0)
        }
        return fitting.max { score($0) < score($1) }?.names.first
    }
}

extension PreTokenizer.Step {
    /// To drop what lies between the matches of an expression that matches everything, as files made
    /// of tiktoken's do, is to isolate them.
    var canonical: PreTokenizer.Step {
        guard case .split(let expression, .removed, isInverted: true) = self,
            [
                KnownExpressions.llama3, KnownExpressions.qwen2, KnownExpressions.gpt4o,
                KnownExpressions.tekken,
            ].contains(expression)
        else {
            return self
        }
        return .split(expression, .isolated, isInverted: false)
    }
}
