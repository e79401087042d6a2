public import ModelFiles

/// Physical Interaction: Question Answering: which of two ways leads to a goal.
///
/// Layout: JSON lines with `goal`, `sol1`, `sol2` and `label` (0 or 1).
///
/// - SeeAlso: Bisk et al. 2020, arXiv:1911.11641.
public struct PIQA: ChoiceTask {
    /// The task.
    public init() {}

    /// What is measured.
    public let metrics: [ChoiceMetric] = [.accuracy, .normalizedAccuracy]
    /// Where examples come from.
    public let examples = ExampleRule.drawn(spare: true)

    /// The questions of a file.
    public func questions(path: String) throws(ModelFileError) -> [ChoiceQuestion] {
        try questions(ofLines: path) { record throws(ModelFileError) in
            try ChoiceQuestion(
                "Question: \(try record.text("goal"))\nAnswer:",
                answers: [try record.text("sol1"), try record.text("sol2")],
                right: try record.integer("label"),
                record
            )
        }
    }
}
