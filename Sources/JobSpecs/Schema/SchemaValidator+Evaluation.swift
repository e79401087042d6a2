internal import Jobs

extension SchemaValidator {
    /// Checks that models, tasks and the table of an evaluation go together.
    mutating func checkEvaluation(_ spec: EvaluateSpec) {
        checkLabels(spec.models)
        checkExamples(spec.tasks)
        checkReferences(spec)
        checkComparison(spec)
        checkTable(spec)
    }

    private mutating func checkLabels(_ models: [EvaluateSpec.Model]) {
        var seen: Set<String> = []
        for (index, row) in models.enumerated() where !seen.insert(row.label).inserted {
            let label = JSONValue.string(row.label).canonicalText
            report(
                "\(label) is not allowed twice; expected a label of its own for each model",
                at: "$.models[\(index)].label"
            )
        }
    }

    /// Examples that nobody asks for would be read in vain, and those that are asked for must be there.
    private mutating func checkExamples(_ tasks: [EvaluateSpec.Task]) {
        for (index, task) in tasks.enumerated() {
            guard let task = task.questionFiles else { continue }
            let path = "$.tasks[\(index)].examples"
            if task.exampleCount > 0, task.examples.isEmpty {
                report("missing; few_shot \(task.exampleCount) takes examples from it", at: path)
            } else if task.exampleCount == 0, !task.examples.isEmpty {
                report("not allowed with few_shot 0, which takes none; write few_shot", at: path)
            }
        }
    }

    private mutating func checkReferences(_ spec: EvaluateSpec) {
        let labels = spec.models.map(\.label)
        for (index, task) in spec.tasks.enumerated() {
            guard case .divergence(_, let reference) = task else { continue }
            checkLabel(reference, of: labels, at: "$.tasks[\(index)].reference")
        }
    }

    private mutating func checkLabel(_ label: String, of labels: [String], at path: String) {
        if !labels.contains(label) {
            let words = ([label] + labels).map { JSONValue.string($0).canonicalText }
            report(
                "\(words[0]) is not allowed; expected the label of one of the models, "
                    + words.dropFirst().joined(separator: ", "),
                at: path
            )
        } else if labels.count == 1 {
            report("not allowed with one model: there is none to compare with it", at: path)
        }
    }

    private mutating func checkComparison(_ spec: EvaluateSpec) {
        let labels = spec.models.map(\.label)
        if let baseline = spec.baseline { checkLabel(baseline, of: labels, at: "$.baseline") }
        guard let lost = spec.recoveredFrom else { return }
        checkLabel(lost, of: labels, at: "$.recovered_from")
        if labels.count > 1, lost == spec.baseline ?? labels.first {
            report("not allowed to be the baseline, which loses nothing", at: "$.recovered_from")
        }
    }

    /// Results reach the gateway in one message: a table beyond its limit would be computed in vain.
    ///
    /// Comparisons that do not fit beside it stand in report.json alone.
    private mutating func checkTable(_ spec: EvaluateSpec) {
        // What stands in a row beside names, at most; names may be escaped.
        let measurements = spec.tasks.reduce(0) { $0 + $1.resultByteCount }
        let size = spec.models.reduce(0) { $0 + 2 * $1.label.utf8.count + 500 + measurements }
        let limit = JobLimits().resultBytes
        guard size > limit else { return }
        report(
            "\(spec.models.count) models × \(spec.tasks.count) tasks make a table of up to \(size) bytes, "
                + "the limit is \(limit); make two jobs of it",
            at: "$.tasks"
        )
    }
}

extension EvaluateSpec.Task {
    /// What its measurements take in a row, at most.
    fileprivate var resultByteCount: Int {
        switch self {
        case .perplexity(let windows), .accuracy(let windows): 2 * windows.text.utf8.count + 250
        case .divergence(let windows, _): 3 * (2 * windows.text.utf8.count + 250)
        case .choices(let task), .problems(let task):
            task.resultByteCount
        case .code(let problems): problems.k.count * (2 * problems.file.utf8.count + 250)
        case .benchmark: 7 * 250
        }
    }
}

extension EvaluateSpec.QuestionFiles {
    /// MMLU's.
    private static let usualSubjectCount = 57

    /// What its measurements take in a row, at most.
    fileprivate var resultByteCount: Int {
        let name = questions.first?.utf8.count ?? 0
        let subjectCount = type == .mmlu ? max(subjects.count, Self.usualSubjectCount) : 0
        return Self.figureCount * (2 * name + 250) + 100 * subjectCount
    }
}
