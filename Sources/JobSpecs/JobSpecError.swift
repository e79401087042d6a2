/// Why a job file was refused.
public struct JobSpecError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of refusal.
    public enum Code: Sendable {
        /// The bytes are no acceptable JSON.
        case invalidJSON
        /// The document is JSON, but no job of its kind.
        case invalidSpec
        /// The kind is none of the known ones.
        case unknownKind
    }

    /// One thing that is wrong, and where.
    public struct Violation: Sendable, Equatable, CustomStringConvertible {
        /// The place, such as `$.optim.lr`.
        public var path: String
        /// What was found and what is allowed.
        public var message: String
        /// The 1-based line, where it is known.
        public var line: Int?

        /// A violation.
        public init(path: String, message: String, line: Int? = nil) {
            self.path = path
            self.message = message
            self.line = line
        }

        /// `$.optim.lr: -1 is not allowed; expected a number > 0 (line 7)`.
        public var description: String {
            "\(path): \(message)" + (line.map { " (line \($0))" } ?? "")
        }
    }

    /// What kind of refusal.
    public let code: Code
    /// Everything that is wrong, in the order of the file; never empty.
    public let violations: [Violation]

    init(_ code: Code, _ violations: [Violation]) {
        precondition(!violations.isEmpty, "an error without a violation")
        self.code = code
        self.violations = violations
    }

    init(_ code: Code, _ message: String, path: String = "$") {
        self.init(code, [Violation(path: path, message: message)])
    }

    /// A document that cannot be read.
    public static func malformed(
        _ message: String,
        path: String = "$",
        line: Int? = nil
    ) -> JobSpecError {
        JobSpecError(.invalidJSON, [Violation(path: path, message: message, line: line)])
    }

    /// The violations, joined by semicolons.
    public var description: String {
        violations.map(\.description).joined(separator: "; ")
    }

    /// One line per violation; what is wrong within the file starts with its name.
    public func lines(file: String) -> [String] {
        violations.map { violation in
            switch code {
            case .invalidJSON, .invalidSpec: "\(file): \(violation)"
            case .unknownKind: violation.message
            }
        }
    }
}
