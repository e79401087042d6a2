public import ModelFiles

/// Massive Multitask Language Understanding: questions of 57 subjects with four answers each.
///
/// Layouts: tables as published, `question,A,B,C,D,answer` without a heading, whose name is the
/// subject's with `_test`, `_val` or `_dev` behind it; JSON lines with `question`, `choices`, `answer`
/// (0 … 3 or a letter) and `subject`.
///
/// - SeeAlso: Hendrycks et al. 2021, arXiv:2009.03300.
public struct MMLU: ChoiceTask {
    private static let letters = ["A", "B", "C", "D"]

    /// The task.
    public init() {}

    /// What is measured.
    public let metrics: [ChoiceMetric] = [.accuracy]
    /// Where examples come from.
    public let examples = ExampleRule.firstOfSubject

    /// What stands before the examples: the subject in words.
    public func description(of subject: String?) -> String {
        let words = (subject ?? "").pythonReplacing("_", by: " ")
        return "The following are multiple choice questions (with answers) about \(words).\n\n"
    }

    /// The questions of a file.
    public func questions(path: String) throws(ModelFileError) -> [ChoiceQuestion] {
        guard path.lowercased().hasSuffix(".csv") else {
            return try questions(ofLines: path) { record throws(ModelFileError) in
                let subject = try record.text("subject")
                return try question(record, choices: try record.texts("choices"), subject)
            }
        }
        let subject = try Self.subject(ofTable: path)
        let columns = ["question"] + Self.letters + ["answer"]
        var questions: [ChoiceQuestion] = []
        for record in try RecordFile.table(path: path, columns: columns) {
            var choices: [String] = []
            for letter in Self.letters { choices.append(try record.text(letter)) }
            questions.append(try question(record, choices: choices, subject))
        }
        return questions
    }

    private func question(
        _ record: Record,
        choices: [String],
        _ subject: String
    ) throws(ModelFileError) -> ChoiceQuestion {
        guard choices.count == Self.letters.count else {
            throw record.failure("\(choices.count) choices, not \(Self.letters.count)")
        }
        var prompt = try record.text("question").pythonStripped + "\n"
        for (letter, choice) in zip(Self.letters, choices) { prompt += "\(letter). \(choice)\n" }
        return try ChoiceQuestion(
            prompt + "Answer:",
            answers: Self.letters,
            right: try Self.right(record),
            subject: subject,
            record
        )
    }

    private static func right(_ record: Record) throws(ModelFileError) -> Int {
        if let word = try? record.text("answer"), let index = letters.firstIndex(of: word) {
            return index
        }
        return try record.integer("answer")
    }

    /// `virology` of `…/virology_test.csv`.
    private static func subject(ofTable path: String) throws(ModelFileError) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let stem = name.dropLast(".csv".count)
        for ending in ["_test", "_val", "_dev"] where stem.hasSuffix(ending) {
            let subject = stem.dropLast(ending.count)
            if !subject.isEmpty { return String(subject) }
        }
        throw ModelFileError(
            .malformed,
            "\(name): the name of a table is that of its subject and its split, as virology_test.csv"
        )
    }
}
