/// What went wrong in a daemon outside of a call.
public struct ServiceError: Error, Sendable, CustomStringConvertible {
    /// Kinds of failure.
    public enum Code: String, Sendable {
        /// A flag, an environment variable or the configuration file is wrong.
        case invalidConfiguration
        /// A file or folder cannot be used.
        case inputOutput
        /// Another process uses the state folder.
        case alreadyRunning
        /// A child process did not keep to the protocol between the two.
        case childProtocol
        /// The service is not ready.
        case notReady
    }

    /// The kind.
    public let code: Code
    /// What happened, where, and what to do.
    public let message: String

    /// An error of a kind.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
