internal import Transformer

/// Checks the metadata that llama.cpp needs.
struct GGUFKeyLint {
    private enum Kind: String {
        case integer = "an integer"
        case number = "a number"
        case text = "a text"
        case texts = "an array of texts"
        case integers = "an array of integers"
    }

    private let gguf: GGUFFile
    private let prefix: String
    private let required: [(key: String, kind: Kind)]
    private let usual: [(key: String, kind: Kind)]

    init(_ gguf: GGUFFile, _ family: any ModelFamily) {
        self.gguf = gguf
        let prefix = family.gguf.architecture
        self.prefix = prefix
        required = [
            ("\(prefix).block_count", .integer), ("\(prefix).context_length", .integer),
            ("\(prefix).embedding_length", .integer), ("\(prefix).feed_forward_length", .integer),
            ("\(prefix).attention.head_count", .integer),
            ("\(prefix).\(family.ggufEpsilonKey)", .number),
            ("tokenizer.ggml.model", .text), ("tokenizer.ggml.tokens", .texts),
            ("tokenizer.ggml.token_type", .integers),
        ]
        usual = [
            ("general.name", .text), ("general.file_type", .integer),
            ("general.quantization_version", .integer), ("\(prefix).vocab_size", .integer),
            ("\(prefix).attention.head_count_kv", .integer),
            ("\(prefix).rope.freq_base", .number),
            ("\(prefix).rope.dimension_count", .integer),
            (TokenRole.beginning.ggufKey, .integer), (TokenRole.end.ggufKey, .integer),
        ]
    }

    /// Checks the keys; whether one of the model's own is missing.
    func lint(_ log: inout LintLog) -> Bool {
        var isMissing = false
        for (key, kind) in required where !has(key, kind) {
            log.error(key, message(key, kind))
            isMissing = isMissing || key.hasPrefix(prefix + ".")
        }
        for (key, kind) in usual where !has(key, kind) {
            // A model may have no token that begins a text, if none is put before it.
            let isBegun = gguf.metadata["tokenizer.ggml.add_bos_token"] != .boolean(false)
            if key == TokenRole.beginning.ggufKey, gguf.metadata[key] == nil, !isBegun { continue }
            log.warning(key, message(key, kind))
        }
        lintTokenizer(&log)
        return isMissing
    }

    private func lintTokenizer(_ log: inout LintLog) {
        guard case .texts(let tokens) = gguf.metadata["tokenizer.ggml.tokens"] else { return }
        let key = "tokenizer.ggml.tokens"
        if let rows = gguf.tensors["token_embd.weight"]?.shape.first, rows != tokens.count {
            log.error(key, "has \(tokens.count) tokens, token_embd.weight \(rows) rows")
        }
        if let size = gguf.integer("\(prefix).vocab_size"), size != tokens.count {
            log.error("\(prefix).vocab_size", "is \(size), \(key) has \(tokens.count)")
        }
        if case .integers(let types) = gguf.metadata["tokenizer.ggml.token_type"],
            types.count != tokens.count
        {
            log.error("tokenizer.ggml.token_type", "has \(types.count) of \(tokens.count) tokens")
        }
        for key in [TokenRole.beginning, .end].map(\.ggufKey) {
            guard let token = gguf.integer(key), !tokens.indices.contains(token) else { continue }
            log.error(key, "is \(token) of \(tokens.count) tokens")
        }
        let model = gguf.text("tokenizer.ggml.model")
        guard model == GGUFTokenizerForm.Model.merges.rawValue else { return }
        if !has("tokenizer.ggml.merges", .texts) {
            log.error("tokenizer.ggml.merges", message("tokenizer.ggml.merges", .texts))
        }
        if !has("tokenizer.ggml.pre", .text) {
            log.error("tokenizer.ggml.pre", message("tokenizer.ggml.pre", .text))
        }
    }

    private func message(_ key: String, _ kind: Kind) -> String {
        gguf.metadata[key] == nil ? "is missing" : "is not \(kind.rawValue)"
    }

    private func has(_ key: String, _ kind: Kind) -> Bool {
        switch (kind, gguf.metadata[key]) {
        case (.integer, .integer), (.number, .number), (.number, .integer), (.text, .text),
            (.texts, .texts), (.integers, .integers):
            true
        default: false
        }
    }
}
