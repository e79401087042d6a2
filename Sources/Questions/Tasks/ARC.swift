public import ModelFiles

/// AI2's Reasoning Challenge, easy or challenging: school's questions with three to five answers.
///
/// Layouts: JSON lines with `question`, `choices` of `text` and `label`, and `answerKey`; or as
/// published, with `question` of `stem` and `choices`.
///
/// - SeeAlso: Clark et al. 2018, arXiv:1803.05457.
public struct ARC: ChoiceTask {
    /// The task.
    public init() {}

    /// What is measured.
    public let metrics: [ChoiceMetric] = [.accuracy, .normalizedAccuracy]
    /// Where examples come from.
    public let examples = ExampleRule.drawn(spare: false)

    /// The questions of a file.
    public func questions(path: String) throws(ModelFileError) -> [ChoiceQuestion] {
        try questions(ofLines: path) { record throws(ModelFileError) in
            let (stem, texts, labels) = try Self.parts(record)
            let key = try record.text("answerKey")
            guard texts.count == labels.count, let right = labels.firstIndex(of: key) else {
                throw record.failure(
                    "answerKey \(key.debugDescription) is none of the \(texts.count) answers' labels, "
                        + labels.joined(separator: ", ")
                )
            }
            return try ChoiceQuestion(
                "Question: \(stem)\nAnswer:",
                answers: texts,
                right: right,
                record
            )
        }
    }

    private static func parts(
        _ record: Record
    ) throws(ModelFileError) -> (stem: String, texts: [String], labels: [String]) {
        guard record.has("choices") else {
            let question = try record.record("question")
            var (texts, labels): ([String], [String]) = ([], [])
            for choice in try question.records("choices") {
                texts.append(try choice.text("text"))
                labels.append(try choice.text("label"))
            }
            return (try question.text("stem"), texts, labels)
        }
        let choices = try record.record("choices")
        return (try record.text("question"), try choices.texts("text"), try choices.texts("label"))
    }
}
