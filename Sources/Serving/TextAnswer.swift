/// What a replica says of a request, in order.
public enum TextAnswer: Sendable, Equatable, Codable {
    /// The prompt was taken: its tokens.
    case accepted(promptTokens: Int)
    /// Some text of answer `index`; `tokens` of it where likelihoods were asked for.
    ///
    /// What may be the beginning of a stop string is held back, so that tokens may come before their text.
    case text(index: Int, String, tokens: [TextToken])
    /// Answer `index` ended (`stop`, `length`, …), by the string `stop` where one of those did, after so many
    /// tokens.
    case finished(index: Int, reason: String, stop: String?, tokens: Int)
}

/// A token as text and bytes, with its likelihood.
public struct TextToken: Sendable, Equatable, Codable {
    /// A token that might have been drawn.
    public struct Alternative: Sendable, Equatable, Codable {
        /// Its text; what is no whole character is a replacement character.
        public var text: String
        /// Its bytes.
        public var bytes: [UInt8]
        /// The natural logarithm of its probability; at most 0.
        public var logProbability: Float

        /// A token of its bytes.
        public init(bytes: [UInt8], logProbability: Float) {
            text = String(decoding: bytes, as: UTF8.self)
            self.bytes = bytes
            self.logProbability = logProbability
        }
    }

    /// Its text; what is no whole character is a replacement character.
    public var text: String
    /// Its bytes.
    public var bytes: [UInt8]
    /// The natural logarithm of its probability; at most 0.
    public var logProbability: Float
    /// The likeliest tokens in its place, the likeliest first, as many as were asked for.
    public var alternatives: [Alternative]

    /// A token of its bytes.
    public init(bytes: [UInt8], logProbability: Float, alternatives: [Alternative] = []) {
        text = String(decoding: bytes, as: UTF8.self)
        self.bytes = bytes
        self.logProbability = logProbability
        self.alternatives = alternatives
    }
}
