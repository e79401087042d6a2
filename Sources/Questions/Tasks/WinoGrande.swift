public import ModelFiles

/// WinoGrande: which of two words a sentence's blank stands for.
///
/// Evaluated in part, as Trinh and Le do: what is scored is the sentence behind the blank, after either
/// word in its place. Layout: JSON lines with `sentence`, `option1`, `option2` and `answer` (1 or 2).
///
/// - SeeAlso: Sakaguchi et al. 2019, arXiv:1907.10641; Trinh and Le 2018, arXiv:1806.02847.
public struct WinoGrande: ChoiceTask {
    /// The task.
    public init() {}

    /// What is measured.
    public let metrics: [ChoiceMetric] = [.accuracy]
    /// Where examples come from.
    public let examples = ExampleRule.drawn(spare: true)

    /// The questions of a file.
    public func questions(path: String) throws(ModelFileError) -> [ChoiceQuestion] {
        try questions(ofLines: path) { record throws(ModelFileError) in
            let sentence = Array(try record.text("sentence").unicodeScalars)
            guard let blank = sentence.firstIndex(of: "_") else {
                throw record.failure("the sentence has no blank, _")
            }
            let start = String(sentence[..<blank])
            let end = String(sentence[(blank + 1)...]).pythonStripped
            let contexts = [
                start + (try record.text("option1")), start + (try record.text("option2")),
            ]
            let right = try record.integer("answer") - 1
            guard contexts.indices.contains(right) else {
                throw record.failure("the answer is \(right + 1), not 1 or 2")
            }
            let continuation = ChoiceQuestion.delimiter + end
            return try ChoiceQuestion(
                answers: contexts.map {
                    .init(context: $0, continuation: continuation, length: $0.pythonLength)
                },
                isRight: contexts.indices.map { $0 == right },
                example: contexts[right] + continuation + ChoiceQuestion.exampleEnd,
                record
            )
        }
    }
}
