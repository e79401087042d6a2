/// A job that measures models side by side.
public struct EvaluateSpec: Sendable, Equatable {
    /// How what flows through a model is rounded.
    public enum Activations: String, Sendable, CaseIterable {
        /// As the model's files say: inputs of linear layers, keys and values.
        case asExported = "as-exported"
        /// Not at all.
        case none
    }

    /// One row of the table.
    public struct Model: Sendable, Equatable {
        /// The row's name; unique.
        public var label: String
        /// The model: a path, `job:ID[/output]` or `sha256:DIGEST`.
        public var model: String
        /// How its activations are rounded; nil for the job's choice.
        public var activations: Activations?
    }

    /// Windows of a text.
    public struct TextWindows: Sendable, Hashable {
        /// The text.
        public var text: String
        /// Tokens per window.
        public var sequenceLength: Int
        /// Windows from the text's start; nil for all.
        public var windowCount: Int?
        /// Where the objects of JSON lines hold their text.
        public var textKey = "text"
        /// Whether windows may be longer than the model's context.
        public var allowsLongContext = false
    }

    /// Texts that are written at once and timed.
    public struct Benchmark: Sendable, Equatable {
        /// Texts at once.
        public var batchSize: Int
        /// Tokens of each prompt.
        public var inputLength: Int
        /// Tokens generated of each.
        public var outputLength: Int
        /// Measured runs.
        public var runCount: Int
        /// Runs before the measured ones.
        public var warmUpCount: Int
        /// Whether prompt and output may be longer than the model's context.
        public var allowsLongContext = false
    }

    /// The word for a task: its `type` in job files and results.
    public enum TaskType: String, Sendable, CaseIterable, Encodable {
        /// The exponential of the mean loss.
        case perplexity
        /// The share of next tokens that are the most probable one.
        case accuracy
        /// How far next tokens are from a reference model's.
        case divergence = "kl_divergence"
        /// A timed generation.
        case benchmark
        /// Questions of many subjects with four answers each.
        case mmlu
        /// Which of four sentences goes on.
        case hellaswag
        /// School's questions, the easier ones.
        case arcEasy = "arc_easy"
        /// School's questions, the harder ones.
        case arcChallenge = "arc_challenge"
        /// Which of two ways leads to a goal.
        case piqa
        /// Which of two words a blank stands for.
        case winogrande
        /// Whether the true answer is the likeliest.
        case truthfulQAOne = "truthfulqa_mc1"
        /// How much probability lies on true answers.
        case truthfulQASeveral = "truthfulqa_mc2"
        /// Questions about a passage that yes or no answers.
        case boolq
        /// Mathematical problems in words.
        case gsm8k
        /// Python functions to complete.
        case humaneval
    }

    /// What a task measures; the raw values are the keys of results.
    public enum Metric: String, Sendable, CaseIterable, Encodable {
        /// `exp` of the mean loss.
        case perplexity
        /// Share of next tokens that the most likely one hits.
        case accuracy
        /// Milliseconds of one run, prompts included; the median of the runs.
        case latency = "latency_ms"
        /// Generated tokens of all texts per second, prompts included.
        case throughput = "tokens_per_s"
        /// Milliseconds that 99 of 100 runs do not exceed.
        case latencyTail = "latency_ms_p99"
        /// Milliseconds until a text's first token; the median over texts of all runs.
        case firstToken = "ttft_ms"
        /// What 99 of 100 texts do not exceed.
        case firstTokenTail = "ttft_ms_p99"
        /// Milliseconds between two tokens of a text; the median.
        case betweenTokens = "itl_ms"
        /// What 99 of 100 such times do not exceed.
        case betweenTokensTail = "itl_ms_p99"
        /// Share of problems that one program out of one solves, by its tests.
        case passAt1 = "pass@1"
        /// Share of problems of which at least one program out of ten passes.
        case passAt10 = "pass@10"
        /// Share of problems of which at least one program out of a hundred passes.
        case passAt100 = "pass@100"
        /// Share of questions whose likeliest answer is right; of truthfulqa_mc2, mean share of the
        /// probability that is on right answers.
        case choiceAccuracy = "acc"
        /// The same by log-likelihood per character.
        case normalizedChoiceAccuracy = "acc_norm"
        /// KL(reference ‖ model) of next tokens, in nats.
        case divergence = "kl_divergence"
        /// Share of positions where model and reference find the same token likeliest.
        case topAgreement = "top1_agreement"
        /// Share of next tokens that one of both hits and the other misses.
        case flips
        /// Share of problems whose answer ends with the right number behind `####`.
        case strictMatch = "exact_match_strict"
        /// Share of problems whose answer's last number is right.
        case flexibleMatch = "exact_match_flexible"
    }

    /// One measurement.
    public enum Task: Sendable, Equatable {
        /// The exponential of the mean loss.
        case perplexity(TextWindows)
        /// The share of next tokens that are the most probable one.
        case accuracy(TextWindows)
        /// How far next tokens are from those of the model with a label.
        case divergence(TextWindows, reference: String)
        /// Latency, tokens per second and peak memory.
        case benchmark(Benchmark)
        /// Programs that the model writes, run.
        case code(CodeProblems)
        /// Questions with answers to choose from.
        case choices(QuestionFiles)
        /// Mathematical problems in words, whose answers are generated.
        case problems(QuestionFiles)
    }

    /// A name for people; not unique.
    public var name: String?
    /// The table's rows.
    public var models: [Model]
    /// The table's columns.
    public var tasks: [Task]
    /// How activations are rounded, unless a model's own entry says.
    public var activations: Activations
    /// The label of the model that others are compared with; nil for the first.
    public var baseline: String?
    /// The label of the model whose loss against the baseline others win back a share of; nil for none.
    public var recoveredFrom: String?
    /// The seed of everything random.
    public var seed: UInt64

    init(_ reader: ObjectReader) {
        name = reader.optionalText("name")
        models = reader.objects("models").map {
            Model(
                label: $0.text("label"),
                model: $0.text("model"),
                activations: $0.optionalChoice("activations")
            )
        }
        tasks = reader.objects("tasks").map(Task.init)
        activations = reader.choice("activations")
        baseline = reader.optionalText("baseline")
        recoveredFrom = reader.optionalText("recovered_from")
        seed = UInt64(reader.integer("seed"))
    }

    /// Whether programs that a model wrote are run, which not every worker does.
    public var runsCode: Bool { tasks.contains { $0.type == .humaneval } }

    /// Whether outputs tell of single questions.
    public var hasSamples: Bool {
        tasks.contains {
            switch $0 {
            case .choices, .problems, .code: true
            case .perplexity, .accuracy, .divergence, .benchmark: false
            }
        }
    }

    /// The inputs the job names, models first.
    public var inputs: [InputReference] {
        let models = models.enumerated().map { index, row in
            InputReference(pointer: "/models/\(index)/model", text: row.model, role: .model)
        }
        let texts = tasks.enumerated().flatMap { index, task in
            task.files.map {
                InputReference(pointer: "/tasks/\(index)/\($0.key)", text: $0.file, role: .text)
            }
        }
        return models + texts
    }
}

extension EvaluateSpec.Metric {
    /// Whether a higher figure is the better model; nil of what is no model's quality, or is that of two.
    public var isHigherBetter: Bool? {
        switch self {
        case .perplexity: false
        case .accuracy, .choiceAccuracy, .normalizedChoiceAccuracy, .strictMatch, .flexibleMatch,
            .passAt1, .passAt10, .passAt100:
            true
        case .latency, .throughput, .latencyTail, .firstToken, .firstTokenTail, .betweenTokens,
            .betweenTokensTail, .divergence, .topAgreement, .flips:
            nil
        }
    }
}

extension EvaluateSpec.Task {
    /// Its word.
    public var type: EvaluateSpec.TaskType {
        switch self {
        case .perplexity: .perplexity
        case .accuracy: .accuracy
        case .divergence: .divergence
        case .benchmark: .benchmark
        case .choices(let questions), .problems(let questions): questions.type
        case .code: .humaneval
        }
    }

    init(_ reader: ObjectReader) {
        let type = reader.choice("type", as: EvaluateSpec.TaskType.self)
        switch type {
        case .perplexity: self = .perplexity(EvaluateSpec.TextWindows(reader))
        case .accuracy: self = .accuracy(EvaluateSpec.TextWindows(reader))
        case .divergence:
            self = .divergence(
                EvaluateSpec.TextWindows(reader),
                reference: reader.text("reference")
            )
        case .benchmark:
            self = .benchmark(
                EvaluateSpec.Benchmark(
                    batchSize: reader.integer("batch_size"),
                    inputLength: reader.integer("input_len"),
                    outputLength: reader.integer("output_len"),
                    runCount: reader.integer("num_runs"),
                    warmUpCount: reader.integer("warm_up"),
                    allowsLongContext: reader.boolean("allow_long_context")
                )
            )
        case .mmlu, .hellaswag, .arcEasy, .arcChallenge, .piqa, .winogrande, .truthfulQAOne,
            .truthfulQASeveral, .boolq:
            self = .choices(EvaluateSpec.QuestionFiles(type, reader))
        case .gsm8k: self = .problems(EvaluateSpec.QuestionFiles(type, reader))
        case .humaneval: self = .code(EvaluateSpec.CodeProblems(reader))
        }
    }

    /// Its questions, of a task that has some.
    var questionFiles: EvaluateSpec.QuestionFiles? {
        switch self {
        case .choices(let questions), .problems(let questions): questions
        case .perplexity, .accuracy, .divergence, .benchmark, .code: nil
        }
    }

    /// The files that it names, by the end of their pointers.
    var files: [(key: String, file: String)] {
        switch self {
        case .perplexity(let windows), .accuracy(let windows), .divergence(let windows, _):
            [("text", windows.text)]
        case .choices(let questions), .problems(let questions): questions.files
        case .code(let problems): [("problems", problems.file)]
        case .benchmark: []
        }
    }
}

extension EvaluateSpec {
    /// Tokens of a window or of a prompt, as an element of a document's `tasks` says or leaves to the
    /// default; nil of other tasks.
    public static func length(ofTask document: JSONValue) -> Int? {
        guard let type = document["type"]?.stringValue.flatMap(TaskType.init) else { return nil }
        let key: String
        switch type {
        case .perplexity, .accuracy, .divergence: key = "seq_length"
        case .benchmark: key = "input_len"
        case .mmlu, .hellaswag, .arcEasy, .arcChallenge, .piqa, .winogrande, .truthfulQAOne,
            .truthfulQASeveral, .boolq, .gsm8k, .humaneval:
            return nil
        }
        return ObjectReader(document, EvaluationSchema.schema(of: type)).optionalInteger(key)
    }
}

extension EvaluateSpec.TextWindows {
    fileprivate init(_ reader: ObjectReader) {
        text = reader.text("text")
        sequenceLength = reader.integer("seq_length")
        windowCount = reader.optionalInteger("windows")
        textKey = reader.text("text_key")
        allowsLongContext = reader.boolean("allow_long_context")
    }
}
