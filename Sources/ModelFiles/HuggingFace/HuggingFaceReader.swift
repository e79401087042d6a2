internal import Kernels
internal import Transformer

/// A model in a Hugging Face folder: safetensors, sharded or not, plain or quantized.
struct HuggingFaceReader: ModelSource {
    /// How a tensor of the model is stored.
    private enum Stored {
        case plain(CheckpointTensors.Located)
        case quantized(QuantizedWeight)
    }
    /// The tensor that a parameter stands in, and its first row there.
    private typealias Place = (entry: ParameterLayout.Entry, firstRow: Int)

    let configuration: ModelConfiguration
    let keyValueScales: KeyValueScales?
    private let tensors: CheckpointTensors
    private let quantization: (any CheckpointConfiguration)?
    private let places: [String: Place]
    /// The head stands in the file, and the embedding, which is the same, does not.
    private let hasHeadForEmbedding: Bool

    /// Reads the directories of all shards and checks that they hold the whole model, stored as the
    /// configuration says, and nothing that the model does not compute.
    init(folder: String) throws(ModelFileError) {
        let root = try HuggingFaceConfiguration(path: folder + "/config.json")
        quantization = try QuantizationConfiguration.read(root.object, folder: folder)
        let tensors = try CheckpointTensors(folder: folder)
        self.tensors = tensors
        keyValueScales = try KeyValueScales(tensors, layerCount: root.model.layerCount)
        let head = try HeadTensors(tensors, root.model)
        var configuration = root.model
        configuration.tiedEmbeddings = head.isTied
        self.configuration = configuration
        hasHeadForEmbedding = head.standsForEmbedding
        var places: [String: Place] = [:]
        let stored = ParameterLayout.stored(of: configuration)
        for tensor in stored {
            for (part, row) in tensor.partsWithFirstRows {
                places[part.name] = (tensor.entry, row)
            }
        }
        self.places = places
        var claims = TensorClaims(cacheScales: keyValueScales != nil)
        if head.isTied { claims.add(name: HeadTensors.name) }
        for tensor in stored {
            switch try self.stored(tensor.entry) {
            case .plain(let located): claims.add(name: located.tensor.name)
            case .quantized: claims.add(module: tensor.entry.module)
            }
        }
        try claims.refuseOthers(of: tensors, family: configuration.architecture.family)
    }

    var path: String { tensors.folder }
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
        guard let place = places[entry.name] else {
            preconditionFailure("\(entry.name) is no parameter of the model")
        }
        // A vector counts as one row.
        let first = entry.shape.count == 1 ? 0 : place.firstRow
        let rows = rows.lowerBound + first..<rows.upperBound + first
        switch try stored(place.entry) {
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

    /// The tensors of a parameter or a fused module, as the configuration has them.
    private func stored(_ entry: ParameterLayout.Entry) throws(ModelFileError) -> Stored {
        let module = entry.module
        if entry.shape.count == 2, let scheme = quantization?.scheme(of: module) {
            return .quantized(try QuantizedWeight(entry, scheme: scheme, tensors: tensors))
        }
        if let scale = tensors[module + ".weight_scale"], entry.shape.count == 2 {
            let reason =
                quantization == nil
                ? "config.json has no quantization_config"
                : "the configuration does not have \(module) quantized"
            throw ModelFileError(
                .malformed,
                "\(scale.path): tensor \(scale.tensor.name) is there, but \(reason)"
            )
        }
        let isHead = hasHeadForEmbedding && module == "model.embed_tokens"
        return .plain(
            try tensors.required(
                isHead ? HeadTensors.name : entry.name,
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
