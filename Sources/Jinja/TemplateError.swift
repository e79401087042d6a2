/// Why a template cannot be read, or not be rendered.
public struct TemplateError: Error, Equatable, CustomStringConvertible {
    /// What went wrong.
    public enum Code: Sendable {
        /// It is no template.
        case syntax
        /// It asks for something of Jinja that is not rendered here.
        case unsupported
        /// A name or a member that is not there was used.
        case undefined
        /// An operation that its operands do not have.
        case type
        /// The template itself refused what it was given, by `raise_exception`.
        case refused
        /// It grows beyond what a template may.
        case limit
    }

    /// What went wrong.
    public let code: Code
    /// A sentence.
    public let message: String
    /// The line of the template, from 1; 0 where it is not known.
    public internal(set) var line: Int

    init(_ code: Code, _ message: String, line: Int = 0) {
        self.code = code
        self.message = message
        self.line = line
    }

    /// The sentence, and the line where it is known.
    public var description: String {
        code == .refused || line == 0 ? message : "line \(line): \(message)"
    }
}
