public import ModelFiles

/// Questions of files with the examples before each of them: what a task asks a model.
public struct ChoiceSet: Sendable {
    /// Which questions of the files are asked.
    public struct Selection: Sendable, Equatable {
        /// Examples before each question.
        public var exampleCount: Int
        /// Subjects that are asked; empty for all.
        public var subjects: [String]
        /// Questions asked, from the beginning of the files, of each subject; nil for all.
        public var limit: Int?

        /// A selection.
        public init(exampleCount: Int = 0, subjects: [String] = [], limit: Int? = nil) {
            self.exampleCount = exampleCount
            self.subjects = subjects
            self.limit = limit
        }
    }

    /// The task.
    public let task: any ChoiceTask
    /// The questions that are asked.
    public let questions: [ChoiceQuestion]
    private let examples: [ChoiceQuestion]
    /// Places among the examples of those before each question.
    private let chosen: [[Int]]

    /// Reads questions, and the files that examples are taken from.
    ///
    /// - Throws: ``ModelFileError``: what reading throws; `tooShort` if there is nothing to ask, a subject is
    ///   in none of the files, or there are fewer examples than asked for.
    public init(
        _ task: any ChoiceTask,
        questions paths: [String],
        examples examplePaths: [String],
        _ selection: Selection
    ) throws(ModelFileError) {
        self.task = task
        var questions: [ChoiceQuestion] = []
        for path in paths { questions += try task.questions(path: path) }
        questions = try Self.selected(questions, selection)
        var examples: [ChoiceQuestion] = []
        if selection.exampleCount > 0 {
            for path in examplePaths { examples += try task.questions(path: path) }
        }
        self.questions = questions
        self.examples = examples
        chosen = try Self.choose(
            selection.exampleCount,
            of: examples,
            for: questions,
            task.examples
        )
    }

    private static func selected(
        _ questions: [ChoiceQuestion],
        _ selection: Selection
    ) throws(ModelFileError) -> [ChoiceQuestion] {
        let found = Set(questions.compactMap(\.subject))
        if let absent = selection.subjects.first(where: { !found.contains($0) }) {
            throw ModelFileError(
                .tooShort,
                "no question is about \(absent.debugDescription); there are "
                    + found.sorted().joined(separator: ", ")
            )
        }
        let wanted = Set(selection.subjects)
        var counts: [String?: Int] = [:]
        return questions.filter { question in
            if let subject = question.subject, !wanted.isEmpty, !wanted.contains(subject) {
                return false
            }
            counts[question.subject, default: 0] += 1
            return counts[question.subject, default: 0] <= selection.limit ?? .max
        }
    }

    private static func choose(
        _ count: Int,
        of examples: [ChoiceQuestion],
        for questions: [ChoiceQuestion],
        _ rule: ExampleRule
    ) throws(ModelFileError) -> [[Int]] {
        guard count > 0, rule != .none else { return questions.map { _ in [] } }
        if case .drawn(let spare) = rule {
            return try ExampleDraw.places(
                count,
                spare: spare,
                of: examples.map(\.record),
                for: questions.map(\.record)
            )
        }
        var firstOnes: [String?: [Int]] = [:]
        for (index, example) in examples.enumerated()
        where firstOnes[example.subject, default: []].count < count {
            firstOnes[example.subject, default: []].append(index)
        }
        for subject in Set(questions.compactMap(\.subject)).sorted() {
            try ExampleDraw.require(
                count,
                of: firstOnes[subject]?.count ?? 0,
                " of the subject \(subject.debugDescription)"
            )
        }
        return questions.map { question in
            (firstOnes[question.subject] ?? []).filter { examples[$0].record != question.record }
        }
    }

    /// What stands before a question's contexts: the description and the examples.
    public func prefix(of index: Int) -> String {
        chosen[index].reduce(into: task.description(of: questions[index].subject)) { text, place in
            text += examples[place].example
        }
    }

    /// Bytes that a model reads for all questions, those that answers share counted once.
    public var byteCount: Int {
        questions.indices.reduce(0) { total, index in
            let question = questions[index]
            let shared = question.answers.first?.context.utf8.count ?? 0
            // A subject's examples are read once, drawn ones with every question.
            let prefix = task.examples == .firstOfSubject ? 0 : prefix(of: index).utf8.count
            return question.answers.reduce(total + prefix + shared) {
                $0 + $1.continuation.utf8.count
            }
        }
    }
}
