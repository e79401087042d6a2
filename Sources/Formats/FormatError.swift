/// A word or a pattern that means nothing.
public struct FormatError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Kinds of failure.
    public enum Code: String, Sendable {
        /// No format has this name.
        case unknownFormat
        /// A module pattern does not parse.
        case invalidPattern
    }

    /// The kind.
    public let code: Code
    /// What was found, and what is allowed.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
