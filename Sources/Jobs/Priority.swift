/// How soon a job is taken, beside others that wait: a number from −100 to 100.
///
/// Waiting counts, too: ``millisecondsPerPoint`` of it are worth one point. All jobs age alike, so that
/// who goes before whom is settled at submission (``rank(created:)``), and a query can ask for it.
public struct Priority: Sendable, Hashable, Comparable, RawRepresentable {
    /// The numbers there are.
    public static let range: ClosedRange<Int64> = -100...100
    /// Milliseconds of waiting that weigh as much as a point: ten minutes.
    public static let millisecondsPerPoint: Int64 = 600_000
    /// After the others.
    public static let low = Priority(known: -50)
    /// What a job has that says nothing.
    public static let normal = Priority(known: 0)
    /// Before the others.
    public static let high = Priority(known: 50)
    /// The words for some numbers.
    public static let words: [(word: String, priority: Priority)] = [
        ("low", .low), ("normal", .normal), ("high", .high),
    ]

    /// The number.
    public let rawValue: Int64

    private init(known value: Int64) { rawValue = value }

    /// A priority of its number; nil beyond ``range``.
    public init?(rawValue: Int64) {
        guard Self.range.contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    /// Reads `low`, `normal`, `high` or a number; nil of anything else.
    public init?(parsing text: String) {
        if let known = Self.words.first(where: { $0.word == text }) {
            self = known.priority
        } else if let number = Int64(text) {
            self.init(rawValue: number)
        } else {
            return nil
        }
    }

    /// The place in the queue: of two jobs that fit, the one with the smaller rank is taken, and of
    /// equal ones the older.
    ///
    /// `created`: Submission in Unix milliseconds. A job is overtaken by none that came more than 200
    /// points of waiting (33 h 20 min) after it, so that none starves.
    public func rank(created: Int64) -> Int64 { created - rawValue * Self.millisecondsPerPoint }

    /// Whether one priority is less than another.
    public static func < (left: Priority, right: Priority) -> Bool {
        left.rawValue < right.rawValue
    }
}
