internal import JobSpecs
internal import ModelFiles
internal import Transformer

// Whether anything is learned of the texts of a training, and anything counts in what it is validated on.

extension InputCheck {
    /// Tokens of a text's beginning whose windows are looked at one by one.
    private static let surveyedCount = 1 << 17

    /// Checks the texts of a training; what else is wrong with them is known.
    ///
    /// `isMarked`: Whether tokens say themselves where documents end, see ``DataOptions/documentRules(_:isMarked:)``.
    mutating func targets(
        _ spec: TrainSpec,
        _ windows: Windows,
        _ model: Model?,
        isMarked: Bool
    ) {
        guard problems.isEmpty, let model, let tokens = model.tokens else { return }
        let rules = spec.data.documentRules(model.configuration, isMarked: isMarked)
        for (key, count) in [
            ("train", spec.data.training.count), ("validation", spec.data.validation.count),
        ] {
            for index in 0..<count {
                guard let file = text("/data/\(key)/\(index)", key: spec.data.textKey),
                    file.form != .plain
                else { continue }
                let path = "$.data.\(key)[\(index)]"
                let silent = targets(file, path, spec.data, windows, tokens, rules)
                guard key == "train", silent.windows > 0 else { continue }
                remark(
                    path,
                    """
                    in \(silent.windows) of its first \(silent.of) windows of seq_length \(windows.length) nothing \
                    is learned, for no answer lies in them; a step that has none but such windows has no loss
                    """
                )
            }
        }
        guard problems.isEmpty else { return }
        validatedTargets(spec, windows, tokens, rules)
    }

    /// Checks that something is learned of a text; returns in how many of the windows at its beginning nothing is,
    /// where it holds conversations.
    private mutating func targets(
        _ file: TextFile,
        _ path: String,
        _ data: DataOptions,
        _ windows: Windows,
        _ tokens: TextTokens,
        _ rules: DocumentRules?
    ) -> (windows: Int, of: Int) {
        var isLearned = false
        var scanned = 0
        let found = attempt(path) {
            try TextCorpus.read([file], learnsAnswers: data.learnsAnswersOnly, tokens) { text in
                if !isLearned {
                    isLearned = rules.leavesTarget(in: text.tokens[max(scanned - 1, 0)...])
                    scanned = text.tokens.count
                }
                return isLearned
                    && (!text.hasConversations || text.tokens.count >= Self.surveyedCount)
            }
        }
        guard let found else { return (0, 0) }
        guard isLearned else {
            problem(path, Self.nothingLearned(file, found))
            return (0, 0)
        }
        guard found.hasConversations else { return (0, 0) }
        let length = windows.length
        let count = found.tokens.count / length
        let silent = (0..<count).count { window in
            !rules.leavesTarget(in: found.tokens[window * length..<(window + 1) * length])
        }
        return (silent, count)
    }

    private static func nothingLearned(_ file: TextFile, _ found: MarkedText) -> String {
        guard found.hasConversations else {
            return """
                \(file.name): nothing of it is learned: eod_mask_loss leaves out what follows the end of a document, \
                and no document has a token before its end
                """
        }
        return """
            \(file.name): nothing of it is learned: none of its conversations has an answer (a message of the \
            assistant that the chat template writes); take conversations with answers, or learn all of the \
            text: "answer_only_loss": false
            """
    }

    /// Checks that something counts in the windows that a training is validated on, which are the first of its
    /// text.
    private mutating func validatedTargets(
        _ spec: TrainSpec,
        _ windows: Windows,
        _ tokens: TextTokens,
        _ rules: DocumentRules?
    ) {
        let isApart = !spec.data.validation.isEmpty
        guard isApart || spec.data.generated == nil else { return }
        let names = isApart ? spec.data.validation : spec.data.training
        let key = isApart ? "validation" : "train"
        let files = names.indices.compactMap {
            text("/data/\(key)/\($0)", key: spec.data.textKey)
        }
        // All of a plain text counts.
        guard files.count == names.count, let first = files.first, first.form != .plain else {
            return
        }
        let (limit, length) = (Self.validated(spec), windows.length)
        var seen = 0
        var isFound = false
        let path = names.count == 1 ? "$.data.\(key)[0]" : "$.data.\(key)"
        let found = attempt(path) {
            try TextCorpus.read(files, learnsAnswers: spec.data.learnsAnswersOnly, tokens) { text in
                while !isFound, seen < limit, (seen + 1) * length <= text.tokens.count {
                    let window = text.tokens[seen * length..<(seen + 1) * length]
                    isFound = rules.leavesTarget(in: window)
                    seen += 1
                }
                return isFound || seen == limit
            }
        }
        guard found != nil, !isFound, seen > 0 else { return }
        problem(path, Self.nothingCounts(seen, of: limit, length))
    }

    /// The most windows of a validation; of a share of its text all.
    private static func validated(_ spec: TrainSpec) -> Int {
        guard case .count(let count)? = spec.trainer.validationBatches else { return .max }
        return count
    }

    private static func nothingCounts(_ seen: Int, of limit: Int, _ length: Int) -> String {
        """
        nothing counts in the \(seen) windows of seq_length \(length) that are validated, for no answer, or no token \
        that eod_mask_loss leaves, lies in them; take another text for data.validation\
        \(seen == limit ? ", a greater trainer.limit_val_batches" : ""), or a longer seq_length
        """
    }
}

// The same of corpora, whose tokens are all learned but for what `eod_mask_loss` leaves out.
extension InputCheck {
    /// Checks that something of documents is learned, or counts in their first `windows`.
    mutating func targets(
        _ documents: [CorpusDocuments],
        _ path: String,
        _ data: DataOptions,
        length: Int,
        limit: Int = .max,
        _ model: Model?
    ) {
        guard data.masksEndOfDocumentLoss, problems.isEmpty, let model else { return }
        let rules = data.documentRules(model.configuration)
        let text = CorpusText(documents, vocabularySize: model.configuration.vocabularySize)
        let count = min(text.count / length, limit)
        let isFound = attempt(path) { () throws -> Bool in
            var window = [Int32](repeating: 0, count: length)
            for index in 0..<count {
                try text.copy(index * length..<(index + 1) * length, to: &window)
                if rules.leavesTarget(in: window) { return true }
            }
            return false
        }
        guard count > 0, isFound == false else { return }
        problem(
            path,
            limit == .max
                ? "nothing of it is learned: eod_mask_loss leaves out what follows the end of a document, and no "
                    + "document has a token before its end"
                : Self.nothingCounts(count, of: limit, length)
        )
    }

    /// Checks what a training is validated on.
    mutating func validatedTargets(
        _ documents: [CorpusDocuments],
        _ path: String,
        _ spec: TrainSpec,
        _ windows: Windows,
        _ model: Model?
    ) {
        targets(
            documents,
            path,
            spec.data,
            length: windows.length,
            limit: Self.validated(spec),
            model
        )
    }
}
