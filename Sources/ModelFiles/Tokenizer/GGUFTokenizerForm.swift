/// A tokenizer as `tokenizer.ggml.*` holds it.
struct GGUFTokenizerForm {
    /// `tokenizer.ggml.model`, under llama.cpp's names of the first models that had such tokenizers.
    enum Model: String, CaseIterable {
        /// Merges of byte-level pieces.
        case merges = "gpt2"
        /// Scores of SentencePiece's pieces.
        case scores = "llama"
    }

    let model: Model
    /// The name of the split; llama.cpp's `default` where there is none.
    let pre: String
    let kinds: [PieceScoreModel.Kind]
    /// Tokens by number; those that the user defined with spaces, where the vocabulary has stand-ins.
    let tokens: [String]
    /// Of scores: a score for each token.
    var scores: [Float] = []
    /// Of merges.
    var merges: [(String, String)] = []
    /// Of scores: whether a space is put before a text.
    var addsSpacePrefix = false
    let addsBOS: Bool
    let addsEOS: Bool

    /// Finds the form that llama.cpp reads to the same tokenizer.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`), saying what no form holds.
    init(_ tokenizer: Tokenizer) throws(ModelFileError) {
        guard tokenizer.addedAtStart.count <= 1, tokenizer.addedAtEnd.count <= 1 else {
            throw Self.refusal("the post-processor adds more than one token at an end")
        }
        addsBOS = !tokenizer.addedAtStart.isEmpty
        addsEOS = !tokenizer.addedAtEnd.isEmpty
        switch tokenizer.model {
        case .scores(let model):
            self.model = .scores
            pre = "default"
            kinds = Self.kinds(tokenizer, model.kinds)
            scores = model.scores
            addsSpacePrefix = try Self.spacePrefix(tokenizer)
            guard !addsSpacePrefix || !model.kinds.contains(.userDefined) else {
                throw Self.refusal("llama.cpp puts a space after user-defined pieces")
            }
            tokens = Self.spaced(tokenizer.vocabulary, kinds)
        case .bytePairs(let pairs) where tokenizer.preTokenizer.isByteLevel:
            let name = GGUFPreTokenizer.name(
                of: tokenizer.preTokenizer,
                normalizer: tokenizer.normalizer,
                ignoresMerges: pairs.options.ignoresMerges
            )
            guard let name, [[], [.canonicalComposition]].contains(tokenizer.normalizer) else {
                throw Self.refusal(
                    "llama.cpp has no name for this pre_tokenizer and normalizer; it has names for "
                        + GGUFPreTokenizer.all.compactMap(\.names.first).joined(separator: ", ")
                )
            }
            model = .merges
            pre = name
            kinds = Self.kinds(tokenizer, nil)
            merges = tokenizer.merges
            tokens = tokenizer.vocabulary
        case .bytePairs(let pairs):
            model = .scores
            pre = "default"
            guard pairs.options.hasByteFallback else {
                throw Self.refusal("BPE of characters without byte_fallback")
            }
            var kinds = Self.kinds(tokenizer, nil)
            for (id, token) in tokenizer.vocabulary.enumerated() where kinds[id] == .normal {
                if ByteAlphabet.fallbackByte(of: Array(token.utf8)) != nil { kinds[id] = .byte }
            }
            if let unknown = pairs.options.unknownToken,
                let id = tokenizer.vocabulary.firstIndex(where: {
                    $0.utf8.elementsEqual(unknown.utf8)
                })
            {
                kinds[id] = .unknown
            }
            self.kinds = kinds
            scores = try MergeScores.scores(tokenizer)
            addsSpacePrefix = try Self.spacePrefix(tokenizer)
            tokens = Self.spaced(tokenizer.vocabulary, kinds)
        }
    }

    /// llama.cpp looks for what the user defined in the text as it is.
    private static func spaced(
        _ vocabulary: [String],
        _ kinds: [PieceScoreModel.Kind]
    ) -> [String] {
        zip(vocabulary, kinds).map { token, kind in
            guard kind == .userDefined else { return token }
            var view = String.UnicodeScalarView()
            view.append(
                contentsOf: token.unicodeScalars.map { $0 == SentencePieceStages.space ? " " : $0 }
            )
            return String(view)
        }
    }

    private static func refusal(_ what: String) -> ModelFileError {
        ModelFileError(.unsupported, "the tokenizer cannot be written to GGUF: \(what)")
    }

    private static func kinds(
        _ tokenizer: Tokenizer,
        _ known: [PieceScoreModel.Kind]?
    ) -> [PieceScoreModel.Kind] {
        var kinds =
            known ?? .init(repeating: .normal, count: tokenizer.vocabulary.count)
        for (id, token) in tokenizer.vocabulary.enumerated() where token == "[PAD\(id)]" {
            kinds[id] = .unused
        }
        for token in tokenizer.addedTokens where kinds[Int(token.id)] != .unknown {
            kinds[Int(token.id)] = token.isSpecial ? .control : .userDefined
        }
        return kinds
    }

    /// Whether the stages before the model put a space before a text; they may do nothing else than
    /// replace spaces.
    private static func spacePrefix(_ tokenizer: Tokenizer) throws(ModelFileError) -> Bool {
        let space = SentencePieceStages.space
        var steps = tokenizer.preTokenizer.steps
        if tokenizer.normalizer.contains(where: Self.replacesSpaces),
            case .split(let expression, _, _) = steps.first, steps.count == 1,
            expression == SplitExpression(literal: " ")
        {
            // Gemma splits at spaces that its normalizer has replaced.
            steps = []
        }
        switch steps.first {
        case nil:
            for addsPrefix in [true, false]
            where tokenizer.normalizer == SentencePieceStages.normalizer(addsPrefix: addsPrefix) {
                return addsPrefix
            }
        case .metaspace(space, let scheme, let splits)
        where steps.count == 1 && tokenizer.normalizer.isEmpty:
            guard !splits || !tokenizer.merges.contains(where: Self.joinsBeforeSpace) else {
                throw refusal("Metaspace splits where merges join")
            }
            return scheme != .never
        default: break
        }
        throw refusal("llama.cpp's SentencePiece does other than its pre_tokenizer and normalizer")
    }

    private static func replacesSpaces(_ step: NormalizerStep) -> Bool {
        step == .replace(SplitExpression(literal: " "), [SentencePieceStages.space])
    }

    private static func joinsBeforeSpace(_ merge: (String, String)) -> Bool {
        merge.1.unicodeScalars.contains(SentencePieceStages.space)
            || merge.0.unicodeScalars.dropFirst().contains(SentencePieceStages.space)
    }
}

/// Scores that do what merges do, where merges came of scores.
enum MergeScores {
    /// - Throws: ``ModelFileError`` (`unsupported`) if no scores do the same.
    static func scores(_ tokenizer: Tokenizer) throws(ModelFileError) -> [Float] {
        var tokens = TokenTable(capacity: tokenizer.vocabulary.count)
        for (id, text) in tokenizer.vocabulary.enumerated() { tokens.insert(text, Int32(id)) }
        // Merges to one piece must follow each other; then the piece's rank is its score.
        var scores = [Float](
            repeating: -Float(tokenizer.merges.count),
            count: tokenizer.vocabulary.count
        )
        var counts = [Int](repeating: 0, count: tokenizer.vocabulary.count)
        var last: Int32 = -1
        for (rank, (left, right)) in tokenizer.merges.enumerated() {
            guard let piece = tokens[left + right] else { continue }
            guard piece == last || counts[Int(piece)] == 0 else {
                throw refusal("merge \(rank), to \(left + right), does not follow the others to it")
            }
            if piece != last { scores[Int(piece)] = -Float(rank) }
            counts[Int(piece)] += 1
            last = piece
        }
        // And every way to join it must be among them.
        for (id, text) in tokenizer.vocabulary.enumerated() where counts[id] > 0 {
            let count = splitCount(Array(text.utf8), tokens)
            guard count == counts[id] else {
                throw refusal("\(count) pairs make up \(text), of which \(counts[id]) are merges")
            }
        }
        return scores
    }

    private static func refusal(_ what: String) -> ModelFileError {
        ModelFileError(
            .unsupported,
            "the tokenizer cannot be written to GGUF: no scores do what its merges do: \(what)"
        )
    }

    private static func splitCount(_ text: [UInt8], _ tokens: TokenTable) -> Int {
        text.withUnsafeBufferPointer { text in
            text.indices.dropFirst().count { middle in
                text[middle] & 0xC0 != 0x80
                    && tokens[UnsafeBufferPointer(rebasing: text[..<middle])] != nil
                    && tokens[UnsafeBufferPointer(rebasing: text[middle...])] != nil
            }
        }
    }
}
