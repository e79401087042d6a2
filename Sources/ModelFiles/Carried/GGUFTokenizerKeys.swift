internal import Transformer

/// `tokenizer.*` of a GGUF file.
///
/// - SeeAlso: llama.cpp, `gguf-py/gguf/vocab.py`, `SpecialVocab`, and `convert_hf_to_gguf.py`: what
///   its converter makes of a folder.
struct GGUFTokenizerKeys {
    private(set) var pairs: [(key: String, value: ByteWriter.Value)] = []
    /// What llama.cpp does otherwise than the source.
    private(set) var notes: [String] = []

    /// The keys of a model.
    ///
    /// - Throws: ``ModelFileError`` if it has no tokenizer, or one that llama.cpp has no form for,
    ///   or one with more tokens than the embedding has rows.
    init(_ description: ExportDescription) throws(ModelFileError) {
        let tokenizer: Tokenizer
        do {
            tokenizer = try description.tokenizer()
        } catch {
            throw ModelFileError(error.code, "a GGUF file holds the tokenizer: \(error.message)")
        }
        let rows = description.configuration.vocabularySize
        let form = try GGUFTokenizerForm(tokenizer)
        let count = tokenizer.vocabulary.count
        guard count <= rows else {
            throw ModelFileError(
                .unsupported,
                "gguf: the tokenizer has \(count) tokens, the embedding \(rows) rows; remove the "
                    + "tokens that it lacks"
            )
        }
        let padding = (count..<rows).map { "[PAD\($0)]" }
        var kinds = form.kinds.map { Int32($0.rawValue) }
        let added = Set(tokenizer.addedTokens.map(\.id))
        for id in 0..<count where tokenizer.vocabulary[id].hasPrefix("[PAD") {
            // What a tokenizer has no token for.
            let isHole = tokenizer.vocabulary[id] == "[PAD\(id)]" && !added.contains(Int32(id))
            if isHole { kinds[id] = Int32(PieceScoreModel.Kind.unused.rawValue) }
        }
        kinds += padding.map { _ in Int32(PieceScoreModel.Kind.unused.rawValue) }
        pairs = [
            ("tokenizer.ggml.model", .text(form.model.rawValue)),
            ("tokenizer.ggml.pre", .text(form.pre)),
            ("tokenizer.ggml.tokens", .texts(form.tokens + padding)),
            ("tokenizer.ggml.token_type", .integers(kinds)),
        ]
        switch form.model {
        case .scores:
            let scores = form.scores + padding.map { _ in -10_000 }
            pairs.append(("tokenizer.ggml.scores", .floats(scores)))
            pairs.append(("tokenizer.ggml.add_space_prefix", .boolean(form.addsSpacePrefix)))
        case .merges:
            let merges = form.merges.map { "\($0.0) \($0.1)" }
            pairs.append(("tokenizer.ggml.merges", .texts(merges)))
        }
        addSpecial(
            try SpecialTokens(description, tokenizer),
            tokenizer,
            description.configuration,
            form.model
        )
        pairs += description.source.chatTemplates.pairs
    }

    private mutating func addSpecial(
        _ special: SpecialTokens,
        _ tokenizer: Tokenizer,
        _ configuration: ModelConfiguration,
        _ model: GGUFTokenizerForm.Model
    ) {
        var tokens = special.tokens
        // Every token that ends a text, as far as there are keys.
        let named = TokenRole.ends.compactMap { tokens[$0] }
        var ends = configuration.eosTokens.filter { !named.contains($0) }
        for role in TokenRole.ends where tokens[role] == nil && !ends.isEmpty {
            tokens[role] = ends.removeFirst()
        }
        if !ends.isEmpty {
            notes.append(
                "GGUF has keys for three tokens that end a text; left out are \(ends)"
            )
        }
        if tokens[.end] == nil {
            notes.append(
                """
                the model names no token that ends a text; llama.cpp takes its own default, token \
                \(model == .scores ? 2 : 11)
                """
            )
        }
        for role in TokenRole.allCases {
            guard let token = tokens[role] else { continue }
            pairs.append((role.ggufKey, .unsigned(UInt32(clamping: token))))
        }
        let flags: [(TokenRole, Bool?, Int32?)] = [
            (.beginning, special.addsBOS, tokenizer.addedAtStart.first),
            (.end, special.addsEOS, tokenizer.addedAtEnd.last),
        ]
        for (role, asked, added) in flags {
            let adds = (asked ?? (added.map(Int.init) == tokens[role])) && tokens[role] != nil
            pairs.append(("tokenizer.ggml.add_\(role.rawValue)_token", .boolean(adds)))
            if adds != (added != nil) {
                notes.append(Self.note(role, asks: asked, adds: adds, tokenizer, added))
            }
        }
    }

    /// Why a file adds a token to texts that the source's tokenizer does not, or the other way round.
    private static func note(
        _ role: TokenRole,
        asks asked: Bool?,
        adds: Bool,
        _ tokenizer: Tokenizer,
        _ added: Int32?
    ) -> String {
        let name = role.rawValue
        let key = "add_\(name)_token"
        let place = role == .beginning ? "before" : "after"
        guard let added else {
            return """
                \(key) in tokenizer_config.json is true, but the tokenizer puts nothing \(place) a \
                text; llama.cpp will add the \(name) token, as with a file of its own converter
                """
        }
        let token = tokenizer.vocabulary[Int(added)].debugDescription
        let reason =
            asked == false
            ? "\(key) in tokenizer_config.json is false" : "that is not the \(name) token"
        return """
            the tokenizer puts \(token) \(place) a text, but \(reason); llama.cpp will add nothing, as \
            with a file of its own converter
            """
    }
}

/// The tokens of the roles that tokenizer_config.json names, and what is added to texts.
private struct SpecialTokens {
    private(set) var tokens: [TokenRole: Int] = [:]
    private(set) var addsBOS: Bool?
    private(set) var addsEOS: Bool?

    init(_ description: ExportDescription, _ tokenizer: Tokenizer) throws(ModelFileError) {
        let configuration = description.configuration
        var texts: [TokenRole: String] = [:]
        if let config = try Self.config(description.source) {
            for role in TokenRole.allCases {
                texts[role] = try Self.token(role.textKey, of: config)
            }
            texts[.beginning] = texts[.beginning] ?? texts[.classification]
            texts[.end] = texts[.end] ?? texts[.separator]
            addsBOS = try config.flag("add_bos_token")
            addsEOS = try config.flag("add_eos_token")
        }
        let ids = Self.ids(tokenizer)
        for (role, text) in texts {
            if let id = ids[text], id < configuration.vocabularySize { tokens[role] = Int(id) }
        }
        takeTemplate(tokenizer)
        let known: [(TokenRole, Int?)] = [
            (.beginning, configuration.bosToken), (.padding, configuration.padToken),
        ]
        for (role, token) in known where tokens[role] == nil { tokens[role] = token }
    }

    /// Numbers by the bytes of texts: added tokens before others, the first of two equal ones.
    private static func ids(_ tokenizer: Tokenizer) -> TokenTable {
        var ids = TokenTable(capacity: tokenizer.vocabulary.count)
        for (id, text) in tokenizer.vocabulary.enumerated().reversed() {
            ids.insert(text, Int32(id))
        }
        for token in tokenizer.addedTokens.reversed() { ids.insert(token.text, token.id) }
        return ids
    }

    /// What the post-processor puts at the ends is what begins and ends a text; another end token
    /// then ends a turn.
    private mutating func takeTemplate(_ tokenizer: Tokenizer) {
        if let first = tokenizer.addedAtStart.first, tokens[.beginning] == nil {
            tokens[.beginning] = Int(first)
        }
        guard let last = tokenizer.addedAtEnd.last.map(Int.init), last != tokens[.end] else {
            return
        }
        if let eos = tokens[.end], tokens[.endOfTurn] == nil { tokens[.endOfTurn] = eos }
        tokens[.end] = last
    }

    private static func config(_ source: SourceFiles) throws(ModelFileError) -> JSONObject? {
        let name = "tokenizer_config.json"
        guard let content = source.files[name] else { return nil }
        guard
            case .object(let members) = try JSONValue.parse(
                try content.read(),
                path: name,
                limit: 1 << 18
            )
        else { throw ModelFileError(.malformed, "\(name): no JSON object") }
        return JSONObject(members: members, place: name)
    }

    /// A text, or an object with one.
    private static func token(
        _ key: String,
        of config: JSONObject
    ) throws(ModelFileError) -> String? {
        switch config[key] {
        case .text(let text): text
        case .object: try config.object(key)?.text("content")
        default: nil
        }
    }
}
