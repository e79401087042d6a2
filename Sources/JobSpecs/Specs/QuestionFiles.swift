extension EvaluateSpec {
    /// Questions of a public set, and the examples before them.
    public struct QuestionFiles: Sendable, Equatable {
        /// Which public set they are of.
        public var type: TaskType
        /// Files of questions.
        public var questions: [String]
        /// Files that examples are taken from.
        public var examples: [String]
        /// Examples before each question.
        public var exampleCount: Int
        /// Subjects that are asked; empty for all.
        public var subjects: [String]
        /// Questions asked, of each subject; nil for all.
        public var limit: Int?
    }
}

extension EvaluateSpec.QuestionFiles {
    init(_ type: EvaluateSpec.TaskType, _ reader: ObjectReader) {
        self.type = type
        questions = reader.texts("questions")
        // Sets without examples have no such keys.
        examples = reader.texts("examples")
        exampleCount = reader.optionalInteger("few_shot") ?? 0
        subjects = reader.texts("subjects")
        limit = reader.optionalInteger("limit")
    }

    /// Its files, by the end of their pointers.
    var files: [(key: String, file: String)] {
        questions.enumerated().map { ("questions/\($0.offset)", $0.element) }
            + examples.enumerated().map { ("examples/\($0.offset)", $0.element) }
    }

    /// Figures that may be measured of it, at most.
    static let figureCount = 2
}
