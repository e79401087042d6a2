internal import Kernels
internal import Transformer

/// A Llama model in a Hugging Face folder: safetensors, sharded or not, plain or quantized.
struct HuggingFaceReader: ModelSource {
    /// How a parameter is stored.
    private enum Stored {
        case plain(CheckpointTensors.Located)
        case quantized(QuantizedWeight)
    }

    let keyValueScales: KeyValueScales?
    private let root: HuggingFaceConfiguration
    private let tensors: CheckpointTensors
    private let quantization: (any CheckpointConfiguration)?

    /// Reads the directories of all shards and checks that they hold the whole model, stored as the
    /// configuration says.
    init(folder: String) throws(ModelFileError) {
        root = try HuggingFaceConfiguration(path: folder + "/config.json")
        quantization = try QuantizationConfiguration.read(root.object, folder: folder)
        tensors = try CheckpointTensors(folder: folder)
        keyValueScales = try KeyValueScales(tensors, layerCount: root.model.layerCount)
        for entry in ParameterLayout(configuration: root.model).entries {
            _ = try stored(entry)
        }
    }

    var path: String { tensors.folder }
    var configuration: ModelConfiguration { root.model }
    var kind: LoadedModel.Source { .huggingFace }
    var storedByteCount: Int { tensors.byteCount }
    var tokenizerJSON: [UInt8]? { try? readTokenizer() }

    func tokenizer() throws -> Tokenizer {
        try Tokenizer(tokenizerJSON: try readTokenizer(), path: path + "/tokenizer.json")
    }

    private func readTokenizer() throws(ModelFileError) -> [UInt8] {
        try FileSystem.read(path + "/tokenizer.json", limit: 256 << 20)
    }

    func read(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        switch try stored(entry) {
        case .quantized(let weight): try weight.read(rows: rows, into: output, team: team)
        case .plain(let located):
            try located.tensor.copyFloats(
                rows: rows,
                columns: entry.columns,
                to: output,
                path: located.path
            )
            MappedFile.dropPages(of: located.tensor.bytes)
        }
    }

    /// The tensors of a parameter, as the configuration has them.
    private func stored(_ entry: ParameterLayout.Entry) throws(ModelFileError) -> Stored {
        let module = entry.module
        if entry.shape.count == 2, let scheme = quantization?.scheme(of: module) {
            return .quantized(try QuantizedWeight(entry, scheme: scheme, tensors: tensors))
        }
        if let scale = tensors[module + ".weight_scale"] {
            let reason =
                quantization == nil
                ? "config.json has no quantization_config"
                : "the configuration does not have \(module) quantized"
            throw ModelFileError(
                .malformed,
                "\(scale.path): tensor \(scale.tensor.name) is there, but \(reason)"
            )
        }
        return .plain(
            try tensors.required(
                entry.name,
                types: WeightScheme.floats,
                shapes: [entry.shape],
                reason: quantization == nil
                    ? "the configuration gives it this shape"
                    : "the configuration does not have it quantized"
            )
        )
    }

    var chatTemplate: String? {
        let path = path + "/tokenizer_config.json"
        // A list of named templates, or none: a model without one.
        let root = try? JSONValue.object(path: path, byteLimit: 16 << 20, limit: 1 << 18)
        return (try? root?.text("chat_template")) ?? nil
    }
}
