/// What went wrong in this module.
public struct QuantizationError: Error, Sendable, CustomStringConvertible {
    /// Kinds of failure.
    public enum Code: String, Sendable {
        /// A value is NaN or infinite.
        case nonFiniteInput
        /// The last dimension is not a multiple of the block size, or sizes disagree.
        case shapeMismatch
        /// Second moments of inputs that are no such thing.
        case invalidMoments
    }

    /// The kind.
    public let code: Code
    /// What happened, with the numbers, and what to do.
    public let message: String

    /// An error of a kind.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
