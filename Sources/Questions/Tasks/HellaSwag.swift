public import ModelFiles

/// HellaSwag: which of four sentences goes on from here.
///
/// Layout: JSON lines with `activity_label`, `ctx_a`, `ctx_b`, `endings` and `label`.
///
/// - SeeAlso: Zellers et al. 2019, arXiv:1905.07830.
public struct HellaSwag: ChoiceTask {
    /// The task.
    public init() {}

    /// What is measured.
    public let metrics: [ChoiceMetric] = [.accuracy, .normalizedAccuracy]
    /// Where examples come from.
    public let examples = ExampleRule.drawn(spare: true)

    /// The questions of a file.
    public func questions(path: String) throws(ModelFileError) -> [ChoiceQuestion] {
        try questions(ofLines: path) { record throws(ModelFileError) in
            let start = try record.text("ctx_a") + " " + record.text("ctx_b").pythonCapitalized
            let label = try record.text("activity_label")
            return try ChoiceQuestion(
                Self.cleaned("\(label): \(start)"),
                answers: try record.texts("endings").map(Self.cleaned),
                right: try record.integer("label"),
                record
            )
        }
    }

    /// Without the marks that WikiHow's texts have.
    static func cleaned(_ text: String) -> String {
        let titled = text.pythonStripped.pythonReplacing(" [title]", by: ". ")
        return withoutBrackets(titled).pythonReplacing("  ", by: " ")
    }

    /// `re.sub("\\[.*?\\]", "", text)`: brackets and what is in them, within a line.
    private static func withoutBrackets(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        var kept: [Unicode.Scalar] = []
        var place = 0
        while place < scalars.count {
            if scalars[place] == "[",
                let end = scalars[place...].firstIndex(where: { $0 == "]" || $0 == "\n" }),
                scalars[end] == "]"
            {
                place = end + 1
            } else {
                kept.append(scalars[place])
                place += 1
            }
        }
        return String(kept)
    }
}
