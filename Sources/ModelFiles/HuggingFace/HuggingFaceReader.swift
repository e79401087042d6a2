internal import Formats
internal import Kernels
internal import Quantization
internal import Transformer

/// A model in a Hugging Face folder: safetensors, sharded or not, plain or quantized.
struct HuggingFaceReader: ModelSource {
    /// How a module is stored.
    private enum Stored {
        case plain(CheckpointTensors.Located)
        case quantized(QuantizedWeight)
    }

    let configuration: ModelConfiguration
    let keyValueScales: KeyValueScales?
    let activations: StoredActivations
    let files: SourceFiles
    private let tensors: CheckpointTensors
    /// Where each parameter stands, by its name.
    private let places: [String: (stored: Stored, firstRow: Int)]

    /// Reads the directories of all shards and checks that they hold the whole model, stored as the
    /// configuration says, and nothing that the model does not compute.
    init(folder: String) throws(ModelFileError) {
        let root = try HuggingFaceConfiguration(path: folder + "/config.json")
        let tensors = try CheckpointTensors(folder: folder)
        self.tensors = tensors
        let cache = try KeyValueScales.read(tensors, layerCount: root.model.layerCount)
        keyValueScales = cache?.scales
        let head = try HeadTensors(tensors, root.model)
        var configuration = root.model
        configuration.tiedEmbeddings = head.isTied
        self.configuration = configuration
        let modules = StoredModule.modules(of: ParameterLayout(configuration: configuration))
        var issues = ConfigurationIssues()
        let document = QuantizationDocument(
            root.object,
            folder: folder,
            modules: modules,
            &issues
        )
        let storages = document?.storages(&issues)
        try issues.throwRefusal()
        let table = storages ?? ModuleStorages()
        var claims = TensorClaims()
        claims.add(cache?.names ?? [])
        if head.isTied { claims.add([HeadTensors.name]) }
        var places: [String: (stored: Stored, firstRow: Int)] = [:]
        var inputs: [(module: StoredModule, inputs: InputScheme)] = []
        for module in modules {
            // The head may stand in the file alone, and the embedding, which is the same, not.
            let isHead =
                head.standsForEmbedding && module.name == ParameterLayout.embeddingModule
            let stored = try Self.stored(
                module,
                plainName: isHead ? HeadTensors.name : module.plainName,
                storages,
                tensors
            )
            if isHead { claims.add([HeadTensors.name]) }
            claims.add(table.tensorNames(of: module) ?? [])
            if case .scheme(_, let scheme) = table[module] { inputs.append((module, scheme)) }
            for part in module.parts {
                places[part.name] = (stored, module.firstRow(of: part) ?? 0)
            }
        }
        self.places = places
        try claims.refuseOthers(of: tensors, family: configuration.architecture.family)
        activations = try StoredActivations(
            inputs.filter { ModuleNames.kind(of: $0.module.name) == "Linear" },
            tensors,
            cache: keyValueScales,
            obstacle: table.cacheObstacle
        )
        files = try SourceFolder.read(
            HuggingFaceOrigin(path: folder, config: root.members, configuration: root.model)
        )
    }

    var path: String { tensors.folder }
    var kind: LoadedModel.Source { .huggingFace }
    var storedByteCount: Int { tensors.byteCount }
    var notes: FileNotes { FileNotes(tensors.metadata) }

    func bitWidth(of entry: ParameterLayout.Entry) -> Int {
        switch places[entry.name]?.stored {
        case .quantized(let weight): weight.scheme.bitWidth
        case .plain(let located): 8 * located.tensor.type.byteCount
        case nil: preconditionFailure("\(entry.name) is no parameter of the model")
        }
    }

    func tokenizer() throws -> Tokenizer {
        try TokenizerFolder.read(path)
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
        let stored = place.firstRow + rows.lowerBound..<place.firstRow + rows.upperBound
        switch place.stored {
        case .quantized(let weight): try weight.read(rows: stored, into: output, team: team)
        case .plain(let located):
            try located.tensor.copyFloats(
                rows: stored,
                columns: entry.columns,
                to: output,
                path: located.path
            )
            MappedFile.dropPages(of: located.tensor.bytes)
        }
    }

    func scales(
        of entry: ParameterLayout.Entry,
        rows: Range<Int>,
        in format: QuantizationFormat
    ) throws -> BlockScales? {
        guard let place = places[entry.name], case .quantized(let weight) = place.stored,
            !weight.hasColumnFactors, let found = weight.scheme.format,
            found.element == format.element, found.scaleKind == format.scaleKind,
            found.blockSize == format.blockSize || !format.scaleKind.hasBlocks
        else { return nil }
        let stored = place.firstRow + rows.lowerBound..<place.firstRow + rows.upperBound
        return try weight.packed(rows: stored).map(BlockScales.init)
    }

    func packed(_ entry: ParameterLayout.Entry) throws -> PackedTensor? {
        guard let place = places[entry.name], case .quantized(let weight) = place.stored,
            !weight.hasColumnFactors
        else { return nil }
        return try weight.packed(rows: place.firstRow..<place.firstRow + entry.rows)
    }

    /// The tensors of a module, as the configuration has them.
    private static func stored(
        _ module: StoredModule,
        plainName: String,
        _ storages: ModuleStorages?,
        _ tensors: CheckpointTensors
    ) throws(ModelFileError) -> Stored {
        if case .scheme(let scheme, _) = storages?[module] {
            return .quantized(try QuantizedWeight(module, scheme: scheme, tensors: tensors))
        }
        if module.isMatrix, let scale = tensors[module.name + ".weight_scale"] {
            let reason =
                storages == nil
                ? "config.json has no quantization_config"
                : "the configuration does not have \(module.name) quantized"
            throw ModelFileError(
                .malformed,
                "\(scale.path): tensor \(scale.tensor.name) is there, but \(reason)"
            )
        }
        return .plain(
            try tensors.required(
                plainName,
                types: SafetensorsType.floats,
                shapes: [module.shape],
                reason: storages == nil
                    ? "the configuration gives it this shape"
                    : "the configuration does not have it quantized"
            )
        )
    }
}
