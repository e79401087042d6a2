public import Inference
public import ModelFiles
public import Transformer

/// Prompts that a model answers greedily, as lm-evaluation-harness lets it.
public struct AnswerRequests {
    /// What is asked, as tokens.
    public let requests: [GenerationRequest]
    /// Prompts that lack their beginning, for want of positions.
    public let cutCount: Int
    /// Tokens of the longest prompt and its answer.
    public let length: Int
    private let tokenizer: Tokenizer
    /// Tokens that say nothing.
    private let special: Set<Int32>
    private let endOfText: String?

    /// Prompts for a model, as many of their last tokens as leave room for an answer.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if the model's positions leave no room for an answer.
    public init(
        _ prompts: [String],
        _ tokenizer: Tokenizer,
        _ configuration: ModelConfiguration
    ) throws(ModelFileError) {
        let room = configuration.maximumPositions - GSM8K.answerLength
        guard room > 0 else {
            throw ModelFileError(
                .unsupported,
                "the model's \(configuration.maximumPositions) positions leave no room for the "
                    + "\(GSM8K.answerLength) tokens of an answer"
            )
        }
        let tokens = prompts.map {
            tokenizer.encode(
                $0,
                // The harness adds a start to Gemma's texts alone.
                addingSpecialTokens: configuration.architecture.family.hasPrefix("gemma")
            )
        }
        cutCount = tokens.count { $0.count > room }
        length = min(tokens.map(\.count).max() ?? 0, room) + GSM8K.answerLength
        requests = tokens.map {
            GenerationRequest(
                prompt: Array($0.suffix(room)),
                tokenLimit: GSM8K.answerLength,
                stops: GSM8K.stops
            )
        }
        self.tokenizer = tokenizer
        special = Set(tokenizer.addedTokens.filter(\.isSpecial).map(\.id))
        endOfText =
            tokenizer.addedTokens.first { token in
                token.isSpecial && configuration.eosTokens.first == Int(token.id)
            }?.text
    }

    /// An answer without what ended it: as the harness, from its tokens alone.
    public func answer(_ written: WrittenText) -> String {
        let text = tokenizer.decode(written.tokens.filter { !special.contains($0) })
        return GSM8K.cut(text, endOfText: endOfText)
    }
}
