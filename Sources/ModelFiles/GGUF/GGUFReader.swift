internal import Kernels
internal import Transformer

/// Builds a model from a GGUF file.
struct GGUFReader {
    private let gguf: GGUFFile
    private var path: String { gguf.file.path }

    init(path: String) throws(ModelFileError) {
        gguf = try GGUFFile(path: path)
    }

    func load(team: ThreadTeam) throws -> LoadedModel {
        let tokenizer = try Tokenizer(gguf: gguf)
        let configuration = try configuration(vocabularySize: tokenizer.vocabularySize)
        let parameters = try Parameters(configuration: configuration)
        for entry in parameters.layout.entries {
            try load(entry, into: parameters, team: team)
        }
        return LoadedModel(
            parameters: parameters,
            tokenizer: tokenizer,
            source: .gguf,
            storedByteCount: gguf.tensors.values.reduce(0) { $0 + $1.bytes.count },
            tokenizerJSON: nil,
            chatTemplate: gguf.text("tokenizer.chat_template")
        )
    }

    private func configuration(vocabularySize: Int) throws -> ModelConfiguration {
        let architecture = gguf.text("general.architecture") ?? "?"
        guard architecture == "llama" else {
            throw ModelFileError(
                .unsupported,
                "\(path): architecture \(architecture) is not supported; llama is"
            )
        }
        func required(_ key: String) throws(ModelFileError) -> Int {
            guard let value = gguf.integer("llama.\(key)") else {
                throw ModelFileError(.malformed, "\(path): metadata llama.\(key) is missing")
            }
            return value
        }
        let heads = try required("attention.head_count")
        let configuration = ModelConfiguration(
            vocabularySize: gguf.tensors["token_embd.weight"]?.shape.first ?? vocabularySize,
            hiddenSize: try required("embedding_length"),
            intermediateSize: try required("feed_forward_length"),
            layerCount: try required("block_count"),
            headCount: heads,
            keyValueHeadCount: gguf.integer("llama.attention.head_count_kv") ?? heads,
            headDimension: gguf.integer("llama.attention.key_length"),
            ropeTheta: gguf.number("llama.rope.freq_base") ?? 10_000,
            rmsNormEpsilon: Float(
                gguf.number("llama.attention.layer_norm_rms_epsilon") ?? 1e-5
            ),
            maximumPositions: try required("context_length"),
            tiedEmbeddings: gguf.tensors["output.weight"] == nil,
            bosToken: gguf.integer("tokenizer.ggml.bos_token_id"),
            eosToken: gguf.integer("tokenizer.ggml.eos_token_id")
        )
        if gguf.tensors["rope_freqs.weight"] != nil || gguf.text("llama.rope.scaling.type") != nil {
            throw ModelFileError(
                .unsupported,
                "\(path): rotary scaling in GGUF is not read; use the Hugging Face folder"
            )
        }
        do {
            try configuration.validate()
        } catch {
            throw ModelFileError(.malformed, "\(path): \(error.message)")
        }
        return configuration
    }

    private func load(
        _ entry: ParameterLayout.Entry,
        into parameters: Parameters,
        team: ThreadTeam
    ) throws {
        let name = Self.name(of: entry.name)
        guard let tensor = gguf.tensors[name] else {
            throw ModelFileError(.malformed, "\(path): tensor \(name) is missing")
        }
        guard tensor.shape == entry.shape else {
            throw ModelFileError(
                .malformed,
                "\(path): tensor \(name) has the shape \(tensor.shape), the model \(entry.shape)"
            )
        }
        let columns = entry.columns
        let rowBytes = columns / tensor.type.blockSize * tensor.type.blockByteCount
        let target = parameters.storage.pointer + entry.offset
        let heads = Self.permutedHeads(entry.name, parameters.configuration)
        team.parallelFor(count: entry.rows) { rows in
            for row in rows {
                let source = heads.map { Self.sourceRow(row, rows: entry.rows, heads: $0) } ?? row
                let bytes = tensor.bytes[source * rowBytes..<(source + 1) * rowBytes]
                tensor.type.dequantize(
                    UnsafeRawBufferPointer(rebasing: bytes),
                    into: target + row * columns
                )
            }
        }
    }

    /// The heads of a projection whose rows llama.cpp's converter permutes.
    private static func permutedHeads(
        _ name: String,
        _ configuration: ModelConfiguration
    ) -> Int? {
        if name.hasSuffix("q_proj.weight") {
            return configuration.headCount
        }
        return name.hasSuffix("k_proj.weight") ? configuration.keyValueHeadCount : nil
    }

    /// Where the converter put a row: row `h·d + j·d/2 + i` of a head of `d` went to `h·d + 2i + j`.
    static func sourceRow(_ row: Int, rows: Int, heads: Int) -> Int {
        let d = rows / heads
        let within = row % d
        return row - within + 2 * (within % (d / 2)) + within / (d / 2)
    }

    private static func name(of parameter: String) -> String {
        switch parameter {
        case "model.embed_tokens.weight": return "token_embd.weight"
        case "model.norm.weight": return "output_norm.weight"
        case "lm_head.weight": return "output.weight"
        default: break
        }
        // model.layers.N.<module>.weight
        let parts = parameter.split(separator: ".")
        let modules = [
            "input_layernorm": "attn_norm", "q_proj": "attn_q", "k_proj": "attn_k",
            "v_proj": "attn_v", "o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
            "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
        ]
        let module = modules[String(parts[parts.count - 2])] ?? "?"
        return "blk.\(parts[2]).\(module).weight"
    }
}
