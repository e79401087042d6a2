internal import Kernels
internal import Transformer

/// A Llama model in a GGUF file.
struct GGUFReader: ModelSource {
    let configuration: ModelConfiguration
    private let gguf: GGUFFile

    /// Reads the directory and checks that it holds the whole model.
    init(path: String) throws {
        gguf = try GGUFFile(path: path)
        configuration = try Self.configuration(gguf)
        for entry in ParameterLayout(configuration: configuration).entries {
            _ = try tensor(entry)
        }
    }

    var path: String { gguf.file.path }
    var kind: LoadedModel.Source { .gguf }
    var storedByteCount: Int { gguf.tensors.values.reduce(0) { $0 + $1.bytes.count } }
    var tokenizerJSON: [UInt8]? { nil }
    var chatTemplate: String? { gguf.text("tokenizer.chat_template") }

    // llama.cpp's files have none.
    var keyValueScales: KeyValueScales? { nil }

    func tokenizer() throws -> Tokenizer { try Tokenizer(gguf: gguf) }

    func read(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        let tensor = try tensor(entry)
        guard output.count == rows.count * entry.columns, let target = output.baseAddress else {
            preconditionFailure("read: \(output.count) elements for rows \(rows)")
        }
        let scale = try tensorScale(tensor)
        let columns = entry.columns
        let rowBytes = columns / tensor.type.blockSize * tensor.type.blockByteCount
        func dequantize(_ source: Range<Int>, to row: Int) {
            let bytes = tensor.bytes[source.lowerBound * rowBytes..<source.upperBound * rowBytes]
            tensor.type.dequantize(
                UnsafeRawBufferPointer(rebasing: bytes),
                into: target + row * columns,
                tensorScale: scale
            )
        }
        let heads = GGUFNames.permutedHeads(entry.name, configuration)
        let first = rows.lowerBound
        team.parallelFor(count: rows.count) { range in
            guard let heads else {
                return dequantize(
                    first + range.lowerBound..<first + range.upperBound,
                    to: range.lowerBound
                )
            }
            for row in range {
                let source = GGUFNames.fileRow(first + row, rows: entry.rows, heads: heads)
                dequantize(source..<source + 1, to: row)
            }
        }
        MappedFile.dropPages(of: tensor.bytes)
    }

    private static func configuration(_ gguf: GGUFFile) throws -> ModelConfiguration {
        let path = gguf.file.path
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
        guard let vocabularySize = gguf.tensors["token_embd.weight"]?.shape.first else {
            throw ModelFileError(.malformed, "\(path): tensor token_embd.weight is missing")
        }
        let heads = try required("attention.head_count")
        let configuration = ModelConfiguration(
            vocabularySize: vocabularySize,
            hiddenSize: try required("embedding_length"),
            intermediateSize: try required("feed_forward_length"),
            layerCount: try required("block_count"),
            headCount: heads,
            keyValueHeadCount: gguf.integer("llama.attention.head_count_kv") ?? heads,
            headDimension: gguf.integer("llama.attention.key_length"),
            rotary: RotaryEmbedding(theta: gguf.number("llama.rope.freq_base") ?? 10_000),
            normEpsilon: Float(
                gguf.number("llama.attention.layer_norm_rms_epsilon") ?? 1e-5
            ),
            maximumPositions: try required("context_length"),
            tiedEmbeddings: gguf.tensors["output.weight"] == nil,
            bosToken: gguf.integer("tokenizer.ggml.bos_token_id"),
            eosTokens: gguf.integer("tokenizer.ggml.eos_token_id").map { [$0] } ?? []
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

    /// The tensor of a parameter, whose shape fits.
    private func tensor(_ entry: ParameterLayout.Entry) throws -> GGUFFile.Tensor {
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
        return tensor
    }

    /// NVFP4's scale of the tensor, a tensor beside it; 1 of other types.
    private func tensorScale(_ tensor: GGUFFile.Tensor) throws -> Float {
        let key = tensor.name.dropLast(".weight".count) + ".scale"
        guard tensor.type == .nvfp4, let scale = gguf.tensors[String(key)] else {
            return 1
        }
        guard scale.type == .f32, scale.shape == [1] else {
            throw ModelFileError(.malformed, "\(path): tensor \(key) is no FP32 number")
        }
        var value: Float = 0
        scale.type.dequantize(scale.bytes, into: &value)
        return value
    }
}
