internal import Formats
internal import Quantization
internal import Transformer

/// How a family of inference servers wants quantized weights in a Hugging Face folder: its schemes,
/// and how configurations name them.
protocol CheckpointDialect: Sendable {
    /// `quant_method` of configurations, and the name job files use.
    var name: String { get }

    /// How it stores modules: the table that everything else goes by.
    var schemes: [StorageScheme] { get }

    /// Where the scales of an FP8 key-value cache stand; nil if it has none.
    var cacheScales: CacheScaleNames? { get }

    /// How a module of a format is written; nil if it cannot be.
    func scheme(
        of format: QuantizationFormat,
        in description: ExportDescription
    ) -> StorageScheme?

    /// The format in which inputs of modules of a format are said to be quantized, where the files
    /// hold a scale for them; nil if they hold none.
    func staticInputs(
        of format: QuantizationFormat,
        in description: ExportDescription
    ) -> QuantizationFormat?

    /// Why a module of this format cannot be stored, as the end of a sentence; nil if it can.
    func obstacle(
        to format: QuantizationFormat,
        module: StoredModule,
        in description: ExportDescription
    ) -> String?

    /// `quantization_config` of config.json.
    func configuration(_ description: ExportDescription) -> [String: Any]

    /// Further JSON files, by name.
    func files(_ description: ExportDescription) -> [String: [String: Any]]

    /// How each module is stored, by what the configuration says.
    func read(
        _ document: QuantizationDocument,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages
}

/// The dialects that are written and read.
enum CheckpointDialects {
    static let all: [any CheckpointDialect] = [CompressedTensors(), ModelOpt(), Quark()]

    static func named(_ name: String) -> (any CheckpointDialect)? {
        all.first { $0.name == name }
    }

    /// What may follow a module's name in the tensor that holds its elements.
    static let elementSuffixes = Set(
        all.flatMap { $0.schemes.compactMap { $0.tensor(.elements)?.suffix } }
    )
}

extension CheckpointDialect {
    func files(_ description: ExportDescription) -> [String: [String: Any]] { [:] }
}

extension CheckpointDialect {
    /// Why a model cannot be stored, or nil if it can.
    func obstacle(to description: ExportDescription) -> String? {
        guard !description.formats.isEmpty else {
            return "nothing is quantized"
        }
        for (module, format) in description.quantizedModules {
            if module.name == "model.embed_tokens" || module.name == "lm_head" {
                return """
                    \(module.name) is quantized; \(name) stores linear layers of the decoder only
                    """
            }
            if let obstacle = obstacle(to: format, module: module, in: description) {
                let size = format.scaleKind.hasBlocks ? " by \(format.blockSize)" : ""
                return "\(module.name) is \(format.name)\(size); \(obstacle)"
            }
        }
        return nil
    }

    /// The tensors of one quantized module.
    func tensors(
        of module: StoredModule,
        format: QuantizationFormat,
        in description: ExportDescription
    ) -> [StoredTensor] {
        let inputScale = staticInputs(of: format, in: description)
            .flatMap { description.inputScale(module, $0) }
        return scheme(of: format, in: description)?.tensors
            .compactMap { StoredTensor($0, of: module, inputScale: inputScale) } ?? []
    }

    /// The scales of the key-value cache, in the order of layers.
    func cacheTensors(_ description: ExportDescription) -> [StoredTensor] {
        guard let cacheScales else { return [] }
        return zip(description.keyAmax, description.valueAmax).enumerated().flatMap { layer, amax in
            let names = cacheScales.names(layer: layer)
            return [(names.key, amax.0), (names.value, amax.1)].map { name, amax in
                StoredTensor(
                    name: name,
                    type: .f32,
                    shape: cacheScales.shape,
                    content: .constant(ExportDescription.fp8Scale(amax))
                )
            }
        }
    }
}

extension QuantizationFormat {
    /// Whether elements, block size and scales are those of another format, however it rounds.
    func isStored(as other: QuantizationFormat) -> Bool {
        element == other.element && scaleKind == other.scaleKind && blockSize == other.blockSize
    }
}
