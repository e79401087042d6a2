/// How the tokens of a text are drawn.
///
/// Of the logits, in this order: ``logitBias`` is added; penalties are taken; ``temperature`` divides;
/// ``topK``, then ``topP`` of what is left, then ``minP`` leave tokens out. That is the order of Hugging
/// Face Transformers.
public struct SamplingParameters: Sendable, Equatable {
    /// 0 takes the most likely token; higher flattens the distribution.
    ///
    /// In 0 ... 100.
    public var temperature: Double
    /// Only the most likely tokens that together reach this share are drawn from, in (0, 1].
    public var topP: Double
    /// Only so many of the most likely tokens (and those as likely as the last of them) are drawn from;
    /// 0 for all.
    public var topK: Int
    /// Tokens less likely than this share of the most likely one are left out, from 0 to 1.
    public var minP: Double
    /// Logits of tokens of the prompt and of the text so far are divided by this where positive, multiplied
    /// where negative; above 0, 1 for none.
    public var repetitionPenalty: Double
    /// Taken from the logit of each token of the text so far, from -2 to 2.
    public var presencePenalty: Double
    /// Likewise, once for each time that the text has it.
    public var frequencyPenalty: Double
    /// Added to the logits of tokens, by token.
    public var logitBias: [Int32: Float]
    /// What draws depend on beside the text; nil for another each time.
    public var seed: UInt64?

    /// Parameters; the defaults are greedy.
    public init(
        temperature: Double = 0,
        topP: Double = 1,
        topK: Int = 0,
        minP: Double = 0,
        repetitionPenalty: Double = 1,
        presencePenalty: Double = 0,
        frequencyPenalty: Double = 0,
        logitBias: [Int32: Float] = [:],
        seed: UInt64? = nil
    ) {
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.presencePenalty = presencePenalty
        self.frequencyPenalty = frequencyPenalty
        self.logitBias = logitBias
        self.seed = seed
    }

    /// What of the parameters cannot be, in a sentence; nil if nothing.
    public func objection(vocabularySize: Int) -> String? {
        let ranges: [(String, Double, ClosedRange<Double>)] = [
            ("temperature", temperature, 0...100), ("min_p", minP, 0...1),
            ("presence_penalty", presencePenalty, -2...2),
            ("frequency_penalty", frequencyPenalty, -2...2),
        ]
        for (name, value, range) in ranges where !range.contains(value) {
            return "\(name) is \(value), not in \(range.lowerBound) ... \(range.upperBound)"
        }
        if !(topP > 0 && topP <= 1) { return "top_p is \(topP), not in (0, 1]" }
        if topK < 0 { return "top_k is \(topK), below 0" }
        if !(repetitionPenalty > 0 && repetitionPenalty.isFinite) {
            return "repetition_penalty is \(repetitionPenalty), not above 0"
        }
        let biases = logitBias.sorted { $0.key < $1.key }
        if let (token, _) = biases.first(where: { !(0..<vocabularySize).contains(Int($0.key)) }) {
            return "logit_bias names token \(token); there are \(vocabularySize)"
        }
        if let (token, bias) = biases.first(where: { !(-100...100).contains($0.value) }) {
            return "logit_bias of token \(token) is \(bias), not in -100 ... 100"
        }
        return nil
    }
}

/// A token that was drawn.
public struct SampledToken: Sendable, Equatable {
    /// A token beside what the model says of it.
    public struct Likelihood: Sendable, Equatable {
        /// The token.
        public let token: Int32
        /// The logarithm of its probability before anything was done to the logits; at most 0.
        public let logProbability: Float
    }

    /// The token.
    public let token: Int32
    /// Its likelihood; nil where nobody asked.
    public let logProbability: Float?
    /// The most likely tokens, as many as were asked for, most likely first.
    public let alternatives: [Likelihood]
}
