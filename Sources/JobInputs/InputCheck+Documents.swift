public import JobSpecs
internal import ModelFiles
public import Transformer

// What a job asks of the ends of documents.
extension InputCheck {
    /// Checks that documents end somewhere, where something is to begin anew behind them.
    ///
    /// `hasEnd`: Whether the training text has the token that ends one; nil if that is not known.
    mutating func documentEnds(
        _ data: DataOptions,
        _ model: Model?,
        hasEnd: (Int32) -> Bool?
    ) {
        guard let key = data.documentKeys.first, let model else { return }
        guard let token = TextTokens.endOfText(of: model.configuration) else {
            problem(
                "$.data.\(key)",
                "the model names no token that ends a text (eos_token_id), so no document ends; write false"
            )
            return
        }
        guard hasEnd(token) == false else { return }
        for key in data.documentKeys {
            remark(
                "$.data.\(key)",
                """
                no document of the training text was seen to end with token \(token), the model's \
                end-of-text token, behind which it takes effect; plain text has none, JSON lines and \
                "qat-client preprocess --append-eod" put one behind each document
                """
            )
        }
    }
}

extension InputCheck {
    /// Says of corpora whose documents hold the token that ends one, that each of these ends one.
    mutating func innerEnds(
        _ parts: [(path: String, documents: CorpusDocuments)],
        _ data: DataOptions,
        _ model: Model
    ) {
        guard !data.documentKeys.isEmpty,
            let token = TextTokens.endOfText(of: model.configuration)
        else { return }
        for (path, documents) in parts {
            let count = documents.innerEndCount(token)
            guard count > 0 else { continue }
            remark(
                path,
                """
                \(count) of the first \(min(documents.range.count, 1000)) documents hold token \(token), the model's \
                end-of-text token, before their end: \(data.documentKeys.joined(separator: ", ")) take each for \
                the end of a document, as Megatron does, so that a conversation's answer does not see its \
                question; conversations as JSON lines are kept whole
                """
            )
        }
    }
}

extension InputCheck {
    /// Renders all conversations of texts, and says if a key is about none; returns whether any was seen.
    mutating func conversations(_ spec: TrainSpec, _ model: Model?) -> Bool {
        guard let tokens = model?.tokens else { return false }
        var isKnown = true
        var hasConversations = false
        for (key, count) in [
            ("train", spec.data.training.count), ("validation", spec.data.validation.count),
        ] {
            for index in 0..<count {
                guard let file = text("/data/\(key)/\(index)", key: spec.data.textKey) else {
                    isKnown = false
                    continue
                }
                let found = attempt("$.data.\(key)[\(index)]") {
                    try tokens.checkConversations(
                        in: file,
                        findsAnswers: spec.data.learnsAnswersOnly
                    )
                }
                hasConversations = hasConversations || found ?? true
            }
        }
        if isKnown, !hasConversations, spec.data.namesAnswersOnly {
            remark(
                "$.data.answer_only_loss",
                "has no effect: no text holds conversations (lines of .jsonl files with messages)"
            )
        }
        return hasConversations
    }
}

extension DataOptions {
    /// What begins anew behind a document's end in a training; nil for nothing.
    ///
    /// `model`: Whose end-of-text token it is. `isMarked`: Whether tokens say themselves where documents end,
    /// as those of conversations do, in which a text may end and the conversation go on.
    public func documentRules(
        _ model: ModelConfiguration,
        isMarked: Bool = false
    ) -> DocumentRules? {
        guard !documentKeys.isEmpty else { return nil }
        let token = TextTokens.endOfText(of: model)
        guard isMarked || token != nil else { return nil }
        return DocumentRules(
            endToken: isMarked ? nil : token,
            resetsPositions: resetsPositions,
            resetsAttention: resetsAttentionMask,
            masksLoss: masksEndOfDocumentLoss
        )
    }
}
