public import ModelFiles

/// A public set of multiple-choice questions: its layouts, its prompt and what is measured.
///
/// All is as in lm-evaluation-harness 0.4.9.1, without chat templates.
public protocol ChoiceTask: Sendable {
    /// What is measured, in the order of results.
    var metrics: [ChoiceMetric] { get }
    /// Where examples come from.
    var examples: ExampleRule { get }

    /// The questions of a file.
    ///
    /// - Throws: ``ModelFileError``, naming the line.
    func questions(path: String) throws(ModelFileError) -> [ChoiceQuestion]

    /// What stands before the examples.
    func description(of subject: String?) -> String
}

extension ChoiceTask {
    /// Nothing.
    public func description(of subject: String?) -> String { "" }

    /// The questions that `make` makes of the lines of a JSONL file.
    func questions(
        ofLines path: String,
        _ make: (Record) throws(ModelFileError) -> ChoiceQuestion
    ) throws(ModelFileError) -> [ChoiceQuestion] {
        var questions: [ChoiceQuestion] = []
        for record in try RecordFile.jsonLines(path: path) { questions.append(try make(record)) }
        return questions
    }
}

/// What is measured of a question's answers.
public enum ChoiceMetric: Sendable, CaseIterable {
    /// 1 if the likeliest answer is right, else 0.
    case accuracy
    /// The same of the answer with the highest log-likelihood per code point.
    case normalizedAccuracy
    /// The share of the probability of all answers that lies on right ones.
    case rightMass

    /// Whether it is 0 or 1 of each question.
    public var isBinary: Bool { self != .rightMass }
}

/// Where the examples before a question come from.
public enum ExampleRule: Sendable, Equatable {
    /// There are none.
    case none
    /// The first examples of the question's subject.
    case firstOfSubject
    /// Drawn for each question anew by Python's `random.sample` from the seed 1234, as the harness does.
    ///
    /// `spare`: One more is drawn than is taken, so that one that is the question itself can be left out.
    case drawn(spare: Bool)
}
