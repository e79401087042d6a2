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

extension DataOptions {
    /// What begins anew behind a document's end in a training; nil for nothing.
    ///
    /// `model`: Whose end-of-text token it is.
    public func documentRules(_ model: ModelConfiguration) -> DocumentRules? {
        guard !documentKeys.isEmpty, let token = TextTokens.endOfText(of: model) else { return nil }
        return DocumentRules(
            endToken: token,
            resetsPositions: resetsPositions,
            resetsAttention: resetsAttentionMask,
            masksLoss: masksEndOfDocumentLoss
        )
    }
}
