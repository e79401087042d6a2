internal import Transformer

@testable internal import ModelFiles

/// Writes GGUF files for tests, byte by byte after the specification.
struct GGUFBuilder {
    private var metadata: [UInt8] = []
    private var keyCount = 0
    private var directory: [UInt8] = []
    private var tensorCount = 0
    private var data: [UInt8] = []

    static func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    static func text(_ text: String) -> [UInt8] {
        little(UInt64(text.utf8.count)) + Array(text.utf8)
    }

    mutating func set(_ key: String, type: UInt32, _ value: [UInt8]) {
        metadata += Self.text(key) + Self.little(type) + value
        keyCount += 1
    }

    mutating func set(_ key: String, _ value: String) {
        set(key, type: 8, Self.text(value))
    }

    mutating func set(_ key: String, _ value: Int) {
        set(key, type: 4, Self.little(UInt32(value)))
    }

    mutating func set(_ key: String, _ value: Float) {
        set(key, type: 6, Self.little(value.bitPattern))
    }

    mutating func set(_ key: String, _ values: [String]) {
        let elements = values.flatMap { Self.text($0) }
        set(key, type: 9, Self.little(UInt32(8)) + Self.little(UInt64(values.count)) + elements)
    }

    mutating func set(_ key: String, _ values: [Int32]) {
        let elements = values.flatMap { Self.little($0) }
        set(key, type: 9, Self.little(UInt32(5)) + Self.little(UInt64(values.count)) + elements)
    }

    mutating func set(_ key: String, _ values: [Float]) {
        let elements = values.flatMap { Self.little($0.bitPattern) }
        set(key, type: 9, Self.little(UInt32(6)) + Self.little(UInt64(values.count)) + elements)
    }

    /// `shape`: Slowest first; GGUF has the fastest first.
    mutating func tensor(_ name: String, shape: [Int], type: GGUFTensorType, bytes: [UInt8]) {
        data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
        directory += Self.text(name) + Self.little(UInt32(shape.count))
        for size in shape.reversed() {
            directory += Self.little(UInt64(size))
        }
        directory += Self.little(type.rawValue) + Self.little(UInt64(data.count))
        data += bytes
        tensorCount += 1
    }

    func build() -> [UInt8] {
        let head =
            Self.little(UInt32(0x4655_4747)) + Self.little(UInt32(3))
            + Self.little(UInt64(tensorCount)) + Self.little(UInt64(keyCount)) + metadata
            + directory
        return head + [UInt8](repeating: 0, count: (32 - head.count % 32) % 32) + data
    }

    /// The whole of a model in F32, rows of queries and keys permuted as llama.cpp's converter does.
    static func llama(_ model: LoadedModel) -> GGUFBuilder {
        let c = model.configuration
        var builder = GGUFBuilder()
        builder.set("general.architecture", "llama")
        builder.set("llama.block_count", c.layerCount)
        builder.set("llama.context_length", c.maximumPositions)
        builder.set("llama.embedding_length", c.hiddenSize)
        builder.set("llama.feed_forward_length", c.intermediateSize)
        builder.set("llama.attention.head_count", c.headCount)
        builder.set("llama.attention.head_count_kv", c.keyValueHeadCount)
        builder.set("llama.attention.layer_norm_rms_epsilon", c.normEpsilon)
        builder.set("llama.rope.freq_base", Float(c.rotary.theta))
        builder.set("tokenizer.ggml.model", "gpt2")
        builder.set("tokenizer.ggml.pre", "smollm")
        builder.set("tokenizer.ggml.tokens", model.tokenizer.vocabulary)
        let added = Set(model.tokenizer.addedTokens.map(\.id))
        builder.set(
            "tokenizer.ggml.token_type",
            model.tokenizer.vocabulary.indices.map { added.contains(Int32($0)) ? Int32(3) : 1 }
        )
        builder.set("tokenizer.ggml.merges", model.tokenizer.merges.map { "\($0.0) \($0.1)" })
        builder.set("tokenizer.ggml.bos_token_id", 0)
        builder.set("tokenizer.ggml.eos_token_id", 1)
        for entry in model.parameters.layout.entries {
            let values = Array(model.parameters.elements(of: entry))
            let heads =
                entry.name.hasSuffix("q_proj.weight")
                ? c.headCount : entry.name.hasSuffix("k_proj.weight") ? c.keyValueHeadCount : 0
            let rows = heads > 0 ? permuted(values, rows: entry.rows, heads: heads) : values
            builder.tensor(
                name(entry.name),
                shape: entry.shape,
                type: .f32,
                bytes: rows.flatMap { little($0.bitPattern) }
            )
        }
        return builder
    }

    /// `reshape(heads, 2, d/2, columns).swapaxes(1, 2)`, as the converter writes it.
    private static func permuted(_ values: [Float], rows: Int, heads: Int) -> [Float] {
        let columns = values.count / rows
        let d = rows / heads
        var output: [Float] = []
        for head in 0..<heads {
            for i in 0..<d / 2 {
                for j in 0..<2 {
                    let row = head * d + j * d / 2 + i
                    output += values[row * columns..<(row + 1) * columns]
                }
            }
        }
        return output
    }

    private static func name(_ parameter: String) -> String {
        let fixed = [
            "model.embed_tokens.weight": "token_embd.weight",
            "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight",
        ]
        if let name = fixed[parameter] {
            return name
        }
        var name = parameter.replacing("model.layers.", with: "blk.")
        for (from, to) in [
            ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"),
            ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"),
            ("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm"),
            ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
        ] {
            name = name.replacing(from, with: to)
        }
        return name
    }
}
