/// Why programs are not run here.
public struct SandboxError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Kinds of failure.
    public enum Code: String, Sendable {
        /// The kernel, or what this process is allowed, is not enough.
        case unsupported
        /// The interpreter cannot be used.
        case interpreter
        /// A run could not be prepared, which says nothing of the program.
        case preparation
    }

    /// The kind.
    public let code: Code
    /// What is missing, and what to do.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
