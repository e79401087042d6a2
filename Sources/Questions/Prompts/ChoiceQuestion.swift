internal import ModelFiles

/// A question with answers to choose from, as a model is asked it.
///
/// Texts are those of lm-evaluation-harness, delimiters included.
public struct ChoiceQuestion: Sendable {
    /// One answer: how likely `continuation` is behind `context` is what it scores.
    public struct Answer: Sendable, Equatable {
        /// What stands before, without examples.
        public let context: String
        /// What is scored.
        public let continuation: String
        /// Code points of the answer itself, by which log-likelihoods are normalized.
        public let length: Int
    }

    /// What is put between a question and its answer.
    static let delimiter = " "
    /// What is put behind an example.
    static let exampleEnd = "\n\n"

    /// The answers, in the file's order.
    public let answers: [Answer]
    /// Which of them are right, as many.
    public let isRight: [Bool]
    /// The question as an example for others.
    public let example: String
    /// What the question is about; nil of sets without subjects.
    public let subject: String?
    /// Where it stands: the file and the line.
    public var place: String { record.place }
    let record: Record

    /// A question whose answers follow one context.
    ///
    /// `right`: The place of the right one.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) if there is no such answer, or only one.
    init(
        _ context: String,
        answers texts: [String],
        right: Int,
        subject: String? = nil,
        _ record: Record
    ) throws(ModelFileError) {
        guard texts.count > 1 else {
            throw record.failure("\(texts.count) answers; there is nothing to choose")
        }
        guard texts.indices.contains(right) else {
            throw record.failure("the right answer is \(right), and there are \(texts.count)")
        }
        answers = texts.map {
            Answer(
                context: context,
                continuation: Self.delimiter + $0,
                length: $0.pythonLength
            )
        }
        isRight = texts.indices.map { $0 == right }
        example = context + Self.delimiter + texts[right] + Self.exampleEnd
        self.subject = subject
        self.record = record
    }

    /// A question of answers that are contexts of their own, or of several that are right.
    init(
        answers: [Answer],
        isRight: [Bool],
        example: String,
        _ record: Record
    ) throws(ModelFileError) {
        guard answers.count > 1, answers.count == isRight.count, isRight.contains(true) else {
            throw record.failure(
                "\(answers.count) answers, of which \(isRight.count { $0 }) of \(isRight.count) are right"
            )
        }
        self.answers = answers
        self.isRight = isRight
        self.example = example
        subject = nil
        self.record = record
    }
}
