internal import Jobs

/// How soon jobs are taken, as people write it and read it.
enum JobPriority {
    /// The number of a word or of digits; nil of anything else.
    static func number(_ text: String) -> Int64? { Priority(parsing: text)?.rawValue }

    /// `high`, or the number where there is no word for it.
    static func text(_ number: Int64) -> String {
        Priority.words.first { $0.priority.rawValue == number }?.word ?? "\(number)"
    }
}
