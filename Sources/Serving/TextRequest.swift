/// What a served model is asked for: one prompt and how its answers are drawn.
///
/// The ranges of all numbers are those of `SamplingParameters` in Inference, where a replica checks them.
public struct TextRequest: Sendable, Equatable, Codable {
    /// What is answered or continued.
    public enum Prompt: Sendable, Equatable, Codable {
        /// A text that is continued as it stands.
        case text(String)
        /// Tokens that are continued.
        case tokens([Int32])
        /// A conversation as JSON (an array of messages as OpenAI's API has them), with tools as JSON or nil,
        /// put by the model's own template.
        case conversation(messages: String, tools: String?)
    }

    /// What is answered or continued.
    public var prompt: Prompt
    /// Tokens of an answer at most; nil for as many as the model takes.
    public var tokenLimit: Int?
    /// Answers to the same prompt, each with an index from 0; 1 usually.
    public var count: Int
    /// 0 takes the most likely token; higher flattens the distribution.
    public var temperature: Double
    /// Draws from the most likely tokens that together reach this share, in (0, 1].
    public var topP: Double
    /// Draws from so many of the most likely tokens; 0 for all.
    public var topK: Int
    /// Leaves tokens out that are less likely than this share of the most likely one.
    public var minP: Double
    /// Divides positive logits of tokens that were there before, multiplies negative ones; 1 for none.
    public var repetitionPenalty: Double
    /// Taken from the logit of each token of the answer so far.
    public var presencePenalty: Double
    /// Likewise, once for each time that the answer has it.
    public var frequencyPenalty: Double
    /// Added to the logits of tokens, by token.
    public var logitBias: [Int32: Float]
    /// What draws depend on beside the text; nil for another each time.
    ///
    /// Answer `index` is drawn by `seed + index`.
    public var seed: UInt64?
    /// Strings that end an answer, which does not contain them.
    public var stops: [String]
    /// Likely tokens told with each token beside its own likelihood; nil for no likelihoods.
    public var alternativeCount: Int?

    /// A request; the defaults are greedy.
    public init(
        prompt: Prompt,
        tokenLimit: Int? = nil,
        count: Int = 1,
        temperature: Double = 0,
        topP: Double = 1,
        topK: Int = 0,
        minP: Double = 0,
        repetitionPenalty: Double = 1,
        presencePenalty: Double = 0,
        frequencyPenalty: Double = 0,
        logitBias: [Int32: Float] = [:],
        seed: UInt64? = nil,
        stops: [String] = [],
        alternativeCount: Int? = nil
    ) {
        self.prompt = prompt
        self.tokenLimit = tokenLimit
        self.count = count
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.presencePenalty = presencePenalty
        self.frequencyPenalty = frequencyPenalty
        self.logitBias = logitBias
        self.seed = seed
        self.stops = stops
        self.alternativeCount = alternativeCount
    }
}
