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
        let name = GGUFNames.name(of: entry.name)
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
        let scale = tensor.type == .nvfp4 ? try tensorScale(name) : nil
        let heads = GGUFNames.permutedHeads(entry.name, parameters.configuration)
        team.parallelFor(count: entry.rows) { rows in
            for row in rows {
                let source =
                    heads.map { GGUFNames.fileRow(row, rows: entry.rows, heads: $0) } ?? row
                let bytes = tensor.bytes[source * rowBytes..<(source + 1) * rowBytes]
                tensor.type.dequantize(
                    UnsafeRawBufferPointer(rebasing: bytes),
                    into: target + row * columns,
                    tensorScale: scale ?? 1
                )
            }
        }
    }

    /// NVFP4's scale of the tensor, a tensor beside it.
    private func tensorScale(_ name: String) throws -> Float? {
        let key = name.dropLast(".weight".count) + ".scale"
        guard let tensor = gguf.tensors[String(key)] else {
            return nil
        }
        guard tensor.type == .f32, tensor.shape == [1] else {
            throw ModelFileError(.malformed, "\(path): tensor \(key) is no FP32 number")
        }
        var value: Float = 0
        tensor.type.dequantize(tensor.bytes, into: &value)
        return value
    }
}
