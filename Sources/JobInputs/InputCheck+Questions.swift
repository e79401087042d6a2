public import JobSpecs
public import ModelFiles
public import Questions

extension EvaluateSpec.QuestionFiles {
    /// The task's questions, of files at local paths, as many as it names.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the line.
    public func choices(
        questions: [String],
        examples: [String]
    ) throws(ModelFileError) -> ChoiceSet {
        try ChoiceSet(
            type.choiceTask,
            questions: questions,
            examples: examples,
            .init(exampleCount: exampleCount, subjects: subjects, limit: limit)
        )
    }

    /// The same of problems whose answers are generated.
    ///
    /// - Throws: Likewise.
    public func problems(
        questions: [String],
        examples: [String]
    ) throws(ModelFileError) -> GSM8K {
        try GSM8K(
            problems: questions,
            examples: examples,
            exampleCount: exampleCount,
            limit: limit
        )
    }
}

extension EvaluateSpec.TaskType {
    fileprivate var choiceTask: any ChoiceTask {
        switch self {
        case .mmlu: MMLU()
        case .hellaswag: HellaSwag()
        case .arcEasy, .arcChallenge: ARC()
        case .piqa: PIQA()
        case .winogrande: WinoGrande()
        case .truthfulQAOne: TruthfulQA(.one)
        case .truthfulQASeveral: TruthfulQA(.several)
        case .boolq: BoolQ()
        case .perplexity, .accuracy, .divergence, .benchmark, .gsm8k, .humaneval:
            preconditionFailure("\(rawValue) has no answers to choose from")
        }
    }
}

extension InputCheck {
    /// Reads all questions and examples: none that is asked may be broken.
    mutating func check(_ task: EvaluateSpec.QuestionFiles, index: Int) {
        let path = "$.tasks[\(index)]"
        func files(_ key: String, _ names: [String]) -> [String] {
            names.indices.compactMap { paths["/tasks/\(index)/\(key)/\($0)"] }
        }
        let questions = files("questions", task.questions)
        let examples = files("examples", task.examples)
        // With some of them elsewhere, nothing can be said of all.
        guard questions.count == task.questions.count, examples.count == task.examples.count else {
            return
        }
        guard task.type == .gsm8k else {
            _ = attempt(path) { try task.choices(questions: questions, examples: examples) }
            return
        }
        _ = attempt(path) { try task.problems(questions: questions, examples: examples) }
    }
}
