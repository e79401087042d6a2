public import ModelFiles

/// A context and what is scored behind it, as tokens.
public struct AnswerTokens: Sendable, Equatable {
    /// At least one.
    public let context: [Int32]
    /// At least one.
    public let continuation: [Int32]
    /// Whether the context lacks its beginning, for want of positions.
    public let isCut: Bool
}

/// Cuts texts into contexts and continuations as lm-evaluation-harness does.
///
/// Both are tokenized as one text; the continuation is what there is more than the context alone has.
/// White space at a context's end goes with the continuation.
public struct AnswerTokenizer: Sendable {
    private let tokenizer: Tokenizer
    private let addsSpecialTokens: Bool
    /// Tokens that a model takes at most.
    private let positions: Int
    /// The last context's tokens: a question's answers share it.
    private var last: (text: String, tokens: [Int32])?

    /// The tokens of a model of `positions` positions.
    ///
    /// `addsSpecialTokens`: Whether texts begin with what the model wants at its start, which the harness
    /// does for Gemma alone.
    public init(_ tokenizer: Tokenizer, addsSpecialTokens: Bool, positions: Int) {
        self.tokenizer = tokenizer
        self.addsSpecialTokens = addsSpecialTokens
        self.positions = positions
    }

    /// The tokens of an answer; those that do not fit the model's positions are cut from the left.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) if either has no token or the continuation alone is too
    ///   long.
    public mutating func tokens(
        context: String,
        continuation: String
    ) throws(ModelFileError) -> AnswerTokens {
        let space = context.pythonTrailingSpace
        let kept = String(context.unicodeScalars.dropLast(space.unicodeScalars.count))
        let whole = encode(kept + space + continuation)
        let before = contextTokens(kept)
        let behind = Array(whole.dropFirst(before.count))
        guard !before.isEmpty, !behind.isEmpty, behind.count <= positions else {
            throw ModelFileError(
                .malformed,
                """
                \(before.count) tokens of context and \(behind.count) of an answer: there must be one of \
                each, and the model has \(positions) positions
                """
            )
        }
        // One more than there are positions: nothing is computed of the last one.
        let cut = max(before.count + behind.count - positions - 1, 0)
        return AnswerTokens(
            context: Array(before.dropFirst(cut)),
            continuation: behind,
            isCut: cut > 0
        )
    }

    private mutating func contextTokens(_ text: String) -> [Int32] {
        if let last, last.text.utf8.elementsEqual(text.utf8) { return last.tokens }
        let tokens = encode(text)
        last = (text, tokens)
        return tokens
    }

    private func encode(_ text: String) -> [Int32] {
        tokenizer.encode(text, addingSpecialTokens: addsSpecialTokens)
    }
}
