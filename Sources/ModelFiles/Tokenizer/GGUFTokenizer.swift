extension Tokenizer {
    /// Reads the tokenizer of a GGUF file's metadata: `gpt2` with merges or `llama` with scores.
    ///
    /// - Throws: ``ModelFileError``; `unsupported` names another model or split.
    public init(gguf: GGUFFile) throws(ModelFileError) {
        let reader = try GGUFTokenizerReader(gguf)
        let name = gguf.text("tokenizer.ggml.model") ?? "missing"
        switch GGUFTokenizerForm.Model(rawValue: name) {
        case .merges: self = try reader.bytePairs()
        case .scores: self = try reader.scores()
        case nil:
            throw ModelFileError(
                .unsupported,
                "\(gguf.file.path): tokenizer.ggml.model is \(name); read are gpt2 "
                    + "(byte-level BPE) and llama (SentencePiece BPE)"
            )
        }
    }
}

/// Reads `tokenizer.ggml.*`.
private struct GGUFTokenizerReader {
    private let gguf: GGUFFile
    private let path: String
    private let tokens: [String]
    private let kinds: [PieceScoreModel.Kind]

    init(_ gguf: GGUFFile) throws(ModelFileError) {
        self.gguf = gguf
        path = gguf.file.path
        guard case .texts(let tokens) = gguf.metadata["tokenizer.ggml.tokens"] else {
            throw ModelFileError(.malformed, "\(path): metadata tokenizer.ggml.tokens is missing")
        }
        self.tokens = tokens
        var kinds = [PieceScoreModel.Kind](repeating: .normal, count: tokens.count)
        if case .integers(let types) = gguf.metadata["tokenizer.ggml.token_type"] {
            guard types.count == tokens.count else {
                throw ModelFileError(
                    .malformed,
                    "\(path): tokenizer.ggml.token_type has \(types.count) of \(tokens.count) tokens"
                )
            }
            for (id, type) in types.enumerated() {
                // 0 is no type at all; such tokens are as others.
                guard let kind = PieceScoreModel.Kind(rawValue: type == 0 ? 1 : type) else {
                    throw ModelFileError(
                        .malformed,
                        "\(path): tokenizer.ggml.token_type of token \(id) is \(type); 0 to 6 are"
                    )
                }
                kinds[id] = kind
            }
        }
        self.kinds = kinds
    }

    private func flag(_ key: String, otherwise: Bool) throws(ModelFileError) -> Bool {
        switch gguf.metadata["tokenizer.ggml.\(key)"] {
        case .boolean(let flag): return flag
        case nil: return otherwise
        default:
            throw ModelFileError(.malformed, "\(path): tokenizer.ggml.\(key) is not a flag")
        }
    }

    /// The number of the token of a role, checked.
    private func token(_ role: TokenRole) throws(ModelFileError) -> Int32 {
        guard let id = gguf.integer(role.ggufKey), tokens.indices.contains(id) else {
            throw ModelFileError(
                .malformed,
                "\(path): \(role.ggufKey) is missing or not a token, and "
                    + "add_\(role.rawValue)_token asks for it"
            )
        }
        return Int32(id)
    }

    private func stages(addsBOS: Bool) throws(ModelFileError) -> Tokenizer.Stages {
        var stages = Tokenizer.Stages()
        stages.addedTokens = tokens.enumerated().compactMap { id, text in
            [.control, .userDefined].contains(kinds[id]) && !text.isEmpty
                ? .init(text: text, id: Int32(id), isSpecial: kinds[id] == .control) : nil
        }
        // Where the file is silent, a token that is not there is not added.
        let isDue = addsBOS && gguf.integer(TokenRole.beginning.ggufKey) != nil
        if try flag("add_bos_token", otherwise: isDue) {
            stages.addedAtStart = [try token(.beginning)]
        }
        if try flag("add_eos_token", otherwise: false) {
            stages.addedAtEnd = [try token(.end)]
        }
        return stages
    }

    func bytePairs() throws(ModelFileError) -> Tokenizer {
        guard case .texts(let mergeTexts) = gguf.metadata["tokenizer.ggml.merges"] else {
            throw ModelFileError(.malformed, "\(path): metadata tokenizer.ggml.merges is missing")
        }
        let name = gguf.text("tokenizer.ggml.pre") ?? "default"
        guard let pre = GGUFPreTokenizer.named(name) else {
            throw ModelFileError(
                .unsupported,
                "\(path): tokenizer.ggml.pre is \(name); read are "
                    + GGUFPreTokenizer.all.flatMap(\.names).joined(separator: ", ")
            )
        }
        var stages = try stages(addsBOS: pre.addsBOS)
        stages.preTokenizer = pre.preTokenizer
        stages.normalizer = pre.normalizer
        var merges: [(String, String)] = []
        for (rank, text) in mergeTexts.enumerated() {
            guard let pair = TokenizerJSON.pair(text) else {
                throw ModelFileError(.malformed, "\(path): merge \(rank) is not two tokens")
            }
            merges.append(pair)
        }
        return try Tokenizer(
            vocabulary: tokens,
            merges: merges,
            options: .init(ignoresMerges: pre.ignoresMerges),
            stages: stages,
            isModelToken: { kinds[$0] != .control }
        )
    }

    func scores() throws(ModelFileError) -> Tokenizer {
        guard case .floats(let scores) = gguf.metadata["tokenizer.ggml.scores"],
            scores.count == tokens.count, scores.allSatisfy(\.isFinite)
        else {
            throw ModelFileError(
                .malformed,
                "\(path): tokenizer.ggml.scores does not have a finite number for each token"
            )
        }
        var stages = try stages(addsBOS: true)
        let addsPrefix = try flag("add_space_prefix", otherwise: true)
        stages.normalizer = SentencePieceStages.normalizer(addsPrefix: addsPrefix)
        stages.decoder = SentencePieceStages.decoder(addsPrefix: addsPrefix)
        return Tokenizer(
            vocabulary: tokens,
            scores: PieceScoreModel(vocabulary: tokens, scores: scores, kinds: kinds),
            stages: stages
        )
    }
}

/// What comes before and after SentencePiece's model, as stages.
enum SentencePieceStages {
    static let space: Unicode.Scalar = "\u{2581}"

    /// A space is put before, then every space becomes its stand-in.
    static func normalizer(
        addsPrefix: Bool,
        squeezes: Bool = false,
        escapes: Bool = true
    ) -> [NormalizerStep] {
        var steps: [NormalizerStep] = squeezes ? [.squeezeSpaces] : []
        if addsPrefix { steps.append(.prepend([escapes ? space : " "])) }
        if escapes { steps.append(.replace(SplitExpression(literal: " "), [space])) }
        if squeezes, escapes { steps.append(.replace(KnownExpressions.trailingStandIns, [])) }
        return steps
    }

    static func decoder(addsPrefix: Bool) -> [DecoderStep] {
        var steps: [DecoderStep] = [
            .replace(SplitExpression(literal: String(space)), Array(" ".utf8)), .byteFallback,
            .fuse,
        ]
        if addsPrefix { steps.append(.strip(" ", start: 1, stop: 0)) }
        return steps
    }
}
