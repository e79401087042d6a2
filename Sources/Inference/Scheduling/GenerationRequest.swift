/// A text that is asked for.
public struct GenerationRequest: Sendable {
    /// The prompt; at least one token.
    public var prompt: [Int32]
    /// How tokens are drawn.
    public var sampling: SamplingParameters
    /// Tokens at most.
    public var tokenLimit: Int
    /// Strings that end the text, which does not contain them.
    public var stops: [String]
    /// Whether tokens that end a text end it.
    public var endsAtEndTokens: Bool
    /// How many likely tokens are told with each token, beside its own likelihood; nil for nothing.
    public var alternativeCount: Int?
    /// When the request is given up, on the engine's clock; nil for never.
    public var deadline: Duration?

    /// A request.
    public init(
        prompt: [Int32],
        sampling: SamplingParameters = SamplingParameters(),
        tokenLimit: Int,
        stops: [String] = [],
        endsAtEndTokens: Bool = true,
        alternativeCount: Int? = nil,
        deadline: Duration? = nil
    ) {
        self.prompt = prompt
        self.sampling = sampling
        self.tokenLimit = tokenLimit
        self.stops = stops
        self.endsAtEndTokens = endsAtEndTokens
        self.alternativeCount = alternativeCount
        self.deadline = deadline
    }
}

/// Why a text ended.
public enum FinishReason: String, Sendable, Codable {
    /// A token that ends texts, or one of the request's strings.
    case stop
    /// As many tokens as were asked for, or as the model takes.
    case length
    /// Whoever asked went away.
    case cancelled
    /// The request's deadline passed.
    case deadline
    /// Logits were NaN or infinite.
    case nonFinite = "non_finite"
}

/// What became known of a text.
public struct GenerationEvent: Sendable {
    /// The request.
    public let request: Int
    /// Text that follows what was told before; may be empty.
    public let text: String
    /// The token that was drawn; nil where the text only ends.
    public let token: SampledToken?
    /// Why the text ended; nil while it goes on.
    public let finish: FinishReason?
    /// The string that ended it, where one did.
    public let stop: String?
}
