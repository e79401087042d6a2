/// What went wrong in this module.
public struct TransformerError: Error, Sendable, CustomStringConvertible {
    /// Kinds of failure.
    public enum Code: String, Sendable {
        /// A configuration's numbers do not make a model.
        case invalidConfiguration
        /// A recipe does not fit the model.
        case invalidRecipe
        /// A parameter's name or shape is not the model's.
        case parameterMismatch
        /// Tokens are outside the vocabulary, or too few.
        case invalidTokens
        /// A loss or gradient is NaN or infinite.
        case diverged
        /// A model's hidden states or logits are NaN or infinite on a text.
        case nonFinite
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
