public import ModelFiles

/// BoolQ: questions about a passage that yes or no answers.
///
/// Layout: JSON lines with `passage`, `question`, and `label` or `answer` (true, false, 1 or 0).
///
/// - SeeAlso: Clark et al. 2019, arXiv:1905.10044.
public struct BoolQ: ChoiceTask {
    /// The task.
    public init() {}

    /// What is measured.
    public let metrics: [ChoiceMetric] = [.accuracy]
    /// Where examples come from.
    public let examples = ExampleRule.drawn(spare: true)

    /// The questions of a file.
    public func questions(path: String) throws(ModelFileError) -> [ChoiceQuestion] {
        try questions(ofLines: path) { record throws(ModelFileError) in
            let (passage, question) = (try record.text("passage"), try record.text("question"))
            return try ChoiceQuestion(
                "\(passage)\nQuestion: \(question)?\nAnswer:",
                answers: ["no", "yes"],
                right: try record.flag(record.has("answer") ? "answer" : "label") ? 1 : 0,
                record
            )
        }
    }
}
