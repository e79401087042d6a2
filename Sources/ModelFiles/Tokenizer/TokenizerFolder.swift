/// Reads the tokenizer of a Hugging Face folder: tokenizer.json, or else tokenizer.model with what
/// added_tokens.json and tokenizer_config.json add to it.
enum TokenizerFolder {
    /// tokenizer.json wins, as in Transformers.
    static func read(_ folder: String) throws(ModelFileError) -> Tokenizer {
        let json = folder + "/tokenizer.json"
        let model = folder + "/tokenizer.model"
        guard FileSystem.exists(json) || FileSystem.exists(model) else { throw missing(folder) }
        if FileSystem.exists(json) {
            return try Tokenizer(
                tokenizerJSON: try FileSystem.read(json, limit: 256 << 20),
                path: json
            )
        }
        let pieces = try SentencePieceModel(
            try FileSystem.read(model, limit: 256 << 20),
            path: model
        )
        let config = try object(folder + "/tokenizer_config.json")
        let name = try config?.text("tokenizer_class") ?? ""
        let addsByClass = ["Llama", "CodeLlama", "Gemma"].contains { name.hasPrefix($0) }
        return try pieces.tokenizer(
            added: try addedTokens(folder, config),
            addsBOS: try config?.flag("add_bos_token") ?? addsByClass,
            addsEOS: try config?.flag("add_eos_token") ?? false
        )
    }

    /// Nothing to read: what to add, by what else is there.
    private static func missing(_ folder: String) -> ModelFileError {
        guard FileSystem.exists(folder) else {
            return ModelFileError(.inputOutput, "\(folder): no such file or folder")
        }
        guard !FileSystem.isFile(folder) else {
            return ModelFileError(
                .unsupported,
                "\(folder): no tokenizer that is read; expected a Hugging Face folder, a .gguf, a "
                    + "tokenizer.json or a tokenizer.model"
            )
        }
        let halves = ["vocab.json", "merges.txt"]
        let advice =
            halves.allSatisfy { FileSystem.exists("\(folder)/\($0)") }
            ? """
            ; it holds vocab.json and merges.txt, of which Transformers makes a tokenizer.json: \
            AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
            """
            : "; either will do: take it from where the weights come from"
        return ModelFileError(
            .inputOutput,
            "\(folder): the folder holds no tokenizer.json and no tokenizer.model\(advice)"
        )
    }

    private static func object(_ path: String) throws(ModelFileError) -> JSONObject? {
        guard FileSystem.exists(path) else { return nil }
        return try JSONValue.object(path: path, byteLimit: 16 << 20, limit: 1 << 18)
    }

    /// `added_tokens_decoder` says more than added_tokens.json, so it wins.
    private static func addedTokens(
        _ folder: String,
        _ config: JSONObject?
    ) throws(ModelFileError) -> [Tokenizer.AddedToken] {
        var tokens: [Int32: Tokenizer.AddedToken] = [:]
        if let list = try object(folder + "/added_tokens.json") {
            for text in list.members.keys.sorted() {
                let id = try number(try list.integer(text), text, list)
                var token = Tokenizer.AddedToken(text: text, id: id, isSpecial: false)
                token.isNormalized = true
                tokens[id] = token
            }
        }
        for (key, entry) in try config?.object("added_tokens_decoder")?.objects() ?? [] {
            let text = try entry.text("content") ?? ""
            let id = try number(Int(key), text, entry)
            tokens[id] = try TokenizerJSON.addedToken(text, Int(id), entry)
        }
        return tokens.values.sorted { $0.id < $1.id }
    }

    private static func number(
        _ id: Int?,
        _ text: String,
        _ object: JSONObject
    ) throws(ModelFileError) -> Int32 {
        guard let id, (0..<1 << 22).contains(id), !text.isEmpty else {
            throw ModelFileError(
                .malformed,
                "\(object.place): token \(text) has the number \(id ?? -1)"
            )
        }
        return Int32(id)
    }
}

extension Tokenizer {
    /// Reads the tokenizer of a Hugging Face folder, a GGUF file, a tokenizer.json or a
    /// tokenizer.model.
    ///
    /// - Throws: ``ModelFileError``.
    public init(path: String) throws(ModelFileError) {
        if path.hasSuffix(".json") {
            self = try Tokenizer(
                tokenizerJSON: try FileSystem.read(path, limit: 256 << 20),
                path: path
            )
        } else if path.hasSuffix(".model") {
            let bytes = try FileSystem.read(path, limit: 256 << 20)
            self = try SentencePieceModel(bytes, path: path).tokenizer()
        } else if path.hasSuffix(".gguf") {
            self = try Tokenizer(gguf: try GGUFFile(path: path))
        } else if FileSystem.exists(path + "/model.gguf"), !FileSystem.exists(path + "/config.json")
        {
            self = try Tokenizer(gguf: try GGUFFile(path: path + "/model.gguf"))
        } else {
            self = try TokenizerFolder.read(path)
        }
    }
}
