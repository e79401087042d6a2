public import ModelFiles

/// GSM8K: problems of school's mathematics in words, whose answers are generated.
///
/// Layout: JSON lines with `question` and `answer`, whose last line is `#### NUMBER`. All is as the task
/// gsm8k of lm-evaluation-harness 0.4.9.1.
///
/// - SeeAlso: Cobbe et al. 2021, arXiv:2110.14168.
public struct GSM8K: Sendable {
    /// What ends an answer, beside the end of the text.
    public static let stops = ["Question:", "</s>", "<|im_end|>"]
    /// Tokens of an answer at most.
    public static let answerLength = 256

    /// A problem.
    public struct Problem: Sendable {
        /// What stands before the answer, without examples.
        public let prompt: String
        /// The answer with its reasoning.
        public let answer: String
        /// Where it stands: the file and the line.
        public var place: String { record.place }
        let record: Record

        var example: String {
            prompt + ChoiceQuestion.delimiter + answer + ChoiceQuestion.exampleEnd
        }
    }

    /// The problems that are asked.
    public let problems: [Problem]
    private let examples: [Problem]
    /// Places among the examples of those before each problem.
    private let chosen: [[Int]]

    /// Reads problems, and files of those that examples are drawn from.
    ///
    /// `limit`: Problems asked, from the beginning; nil for all.
    ///
    /// - Throws: ``ModelFileError``: what reading throws; `tooShort` of too few examples.
    public init(
        problems paths: [String],
        examples examplePaths: [String],
        exampleCount: Int,
        limit: Int? = nil
    ) throws(ModelFileError) {
        var problems: [Problem] = []
        for path in paths { problems += try Self.problems(path: path) }
        problems = Array(problems.prefix(limit ?? .max))
        var examples: [Problem] = []
        if exampleCount > 0 {
            for path in examplePaths { examples += try Self.problems(path: path) }
            chosen = try ExampleDraw.places(
                exampleCount,
                spare: false,
                of: examples.map(\.record),
                for: problems.map(\.record)
            )
        } else {
            chosen = problems.map { _ in [] }
        }
        self.problems = problems
        self.examples = examples
    }

    private static func problems(path: String) throws(ModelFileError) -> [Problem] {
        var problems: [Problem] = []
        for record in try RecordFile.jsonLines(path: path) {
            let answer = try record.text("answer")
            guard NumberAnswer.strict(answer) != NumberAnswer.invalid else {
                throw record.failure("the answer has no line of the form #### NUMBER")
            }
            problems.append(
                Problem(
                    prompt: "Question: \(try record.text("question"))\nAnswer:",
                    answer: answer,
                    record: record
                )
            )
        }
        return problems
    }

    /// What a model reads before it answers a problem.
    public func prompt(of index: Int) -> String {
        chosen[index].reduce(into: "") { $0 += examples[$1].example } + problems[index].prompt
    }

    /// A generated text up to the first of any stops, as the harness cuts it.
    ///
    /// `endOfText`: The text of the token that ends a text; nil if the model has none.
    public static func cut(_ text: String, endOfText: String?) -> String {
        (stops + [endOfText].compactMap { $0 }).reduce(text) { text, stop in
            guard !stop.isEmpty, let end = text.firstIndex(ofScalars: stop) else { return text }
            return String(text[..<end])
        }
    }
}

extension String {
    /// Where another text begins in this one, code point by code point; nil if it does not.
    fileprivate func firstIndex(ofScalars text: String) -> String.Index? {
        let wanted = Array(text.unicodeScalars)
        return unicodeScalars.indices.first { unicodeScalars[$0...].starts(with: wanted) }
    }
}
