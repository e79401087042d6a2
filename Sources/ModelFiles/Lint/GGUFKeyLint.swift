/// Checks the metadata that llama.cpp needs.
struct GGUFKeyLint {
    private enum Kind: String {
        case integer = "an integer"
        case number = "a number"
        case text = "a text"
        case texts = "an array of texts"
        case integers = "an array of integers"
    }

    private static let required: [(key: String, kind: Kind)] = [
        ("llama.block_count", .integer), ("llama.context_length", .integer),
        ("llama.embedding_length", .integer), ("llama.feed_forward_length", .integer),
        ("llama.attention.head_count", .integer),
        ("llama.attention.layer_norm_rms_epsilon", .number),
        ("tokenizer.ggml.model", .text), ("tokenizer.ggml.tokens", .texts),
        ("tokenizer.ggml.token_type", .integers),
    ]
    private static let usual: [(key: String, kind: Kind)] = [
        ("general.name", .text), ("general.file_type", .integer),
        ("general.quantization_version", .integer), ("llama.vocab_size", .integer),
        ("llama.attention.head_count_kv", .integer), ("llama.rope.freq_base", .number),
        ("llama.rope.dimension_count", .integer), ("tokenizer.ggml.bos_token_id", .integer),
        ("tokenizer.ggml.eos_token_id", .integer),
    ]

    private let gguf: GGUFFile

    init(_ gguf: GGUFFile) {
        self.gguf = gguf
    }

    func lint(_ log: inout LintLog) {
        for (key, kind) in Self.required where !has(key, kind) {
            log.error(key, message(key, kind))
        }
        for (key, kind) in Self.usual where !has(key, kind) {
            log.warning(key, message(key, kind))
        }
        lintTokenizer(&log)
    }

    private func lintTokenizer(_ log: inout LintLog) {
        guard case .texts(let tokens) = gguf.metadata["tokenizer.ggml.tokens"] else { return }
        let key = "tokenizer.ggml.tokens"
        if let rows = gguf.tensors["token_embd.weight"]?.shape.first, rows != tokens.count {
            log.error(key, "has \(tokens.count) tokens, token_embd.weight \(rows) rows")
        }
        if let size = gguf.integer("llama.vocab_size"), size != tokens.count {
            log.error("llama.vocab_size", "is \(size), \(key) has \(tokens.count)")
        }
        if case .integers(let types) = gguf.metadata["tokenizer.ggml.token_type"],
            types.count != tokens.count
        {
            log.error("tokenizer.ggml.token_type", "has \(types.count) of \(tokens.count) tokens")
        }
        for key in ["tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"] {
            guard let token = gguf.integer(key), !tokens.indices.contains(token) else { continue }
            log.error(key, "is \(token) of \(tokens.count) tokens")
        }
        guard gguf.text("tokenizer.ggml.model") == "gpt2" else { return }
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
