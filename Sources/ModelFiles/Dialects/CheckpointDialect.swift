internal import Formats
internal import Quantization
internal import Transformer

/// How a family of inference servers wants quantized weights in a Hugging Face folder: its schemes,
/// and how configurations name them.
protocol CheckpointDialect: Sendable {
    /// `quant_method` of configurations.
    var name: String { get }

    /// How it stores modules: the table that everything else goes by.
    var schemes: [StorageScheme] { get }

    /// Where the scales of an FP8 key-value cache stand; nil if it has none.
    var cacheScales: CacheScaleNames? { get }

    /// The formats it writes.
    var writtenFormats: [QuantizationFormat] { get }

    /// How a module of a format is written; nil if it cannot be.
    func scheme(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> StorageScheme?

    /// The format in which inputs of modules of a format are said to be quantized, where the files
    /// hold a scale for them; nil if they hold none.
    func staticInputs(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> QuantizationFormat?

    /// The format in which servers will quantize inputs of modules of a format; nil for none.
    func writtenInputs(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> QuantizationFormat?

    /// Whether files of this format hold scales of the inputs in any case, so that their ranges must be
    /// known.
    func requiresInputRanges(_ format: QuantizationFormat) -> Bool

    /// Why a module of this format cannot be stored, as the end of a sentence; nil if it can.
    func obstacle(
        to format: QuantizationFormat,
        module: StoredModule,
        in contents: ExportContents
    ) -> String?

    /// `quantization_config` of config.json.
    func configuration(_ contents: ExportContents) -> [String: Any]

    /// Further JSON files, by name.
    func files(_ contents: ExportContents) -> [String: [String: Any]]

    /// How each module is stored, by what the configuration says.
    func read(
        _ document: QuantizationDocument,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages
}

/// The dialects that are written and read.
enum CheckpointDialects {
    static let all = HuggingFaceWriter.Format.allCases.compactMap(\.dialect)

    static func named(_ name: String) -> (any CheckpointDialect)? {
        all.first { $0.name == name }
    }

    /// What may follow a module's name in the tensor that holds its elements.
    static let elementSuffixes = Set(
        all.flatMap { $0.schemes.compactMap { $0.tensor(.elements)?.suffix } }
    )
}

extension CheckpointDialect {
    /// Which formats it has, as the end of a sentence, from its table.
    var writtenNames: String {
        let names = writtenFormats.map(\.nameWithBlock)
        return "\(name) has \(names.dropLast().joined(separator: ", ")) and \(names.last ?? "none")"
    }
}

extension CheckpointDialect {
    func files(_ contents: ExportContents) -> [String: [String: Any]] { [:] }

    func requiresInputRanges(_ format: QuantizationFormat) -> Bool { false }
}

extension CheckpointDialect {
    /// Everything that cannot be stored, by module.
    func obstacles(to contents: ExportContents) -> [ExportPlan.Remark] {
        guard !contents.formats.isEmpty else {
            return [ExportPlan.Remark(module: nil, reason: "nothing is quantized")]
        }
        var obstacles: [ExportPlan.Remark] = []
        for (module, format) in contents.quantizedModules {
            if let reason = obstacle(to: module, format, contents) {
                obstacles.append(ExportPlan.Remark(module: module.name, reason: reason))
            }
        }
        return obstacles + cacheObstacles(to: contents)
    }

    private func obstacle(
        to module: StoredModule,
        _ format: QuantizationFormat,
        _ contents: ExportContents
    ) -> String? {
        if !module.isInDecoder {
            return "is quantized; \(name) stores linear layers of the decoder only"
        }
        if let obstacle = obstacle(to: format, module: module, in: contents) {
            return "is \(format.nameWithBlock); \(obstacle)"
        }
        let others = module.parts.dropFirst().map { contents.formats[$0.module] }
        if others.contains(where: { $0?.isStored(as: format) != true }) {
            return "holds modules of different formats in one tensor; give them one"
        }
        if format.scaleKind.hasBlocks, !module.columns.isMultiple(of: format.blockSize) {
            return "has \(module.columns) inputs, no multiple of \(format.name)'s blocks by "
                + "\(format.blockSize)"
        }
        if let scale = staticInputs(of: format, in: contents)
            .flatMap({ contents.inputScale(module, $0) }), !scale.isFinite
        {
            return "has inputs that are not finite on the calibration text"
        }
        return nil
    }

    private func cacheObstacles(to contents: ExportContents) -> [ExportPlan.Remark] {
        var obstacles: [ExportPlan.Remark] = []
        if !contents.keyAmax.isEmpty, let scales = cacheScales, scales.isBesideProjections {
            let names = Set(contents.modules.map(\.name))
            for layer in contents.keyAmax.indices
            where !scales.projections(layer: layer).allSatisfy(names.contains) {
                obstacles.append(
                    .init(
                        module: "model.layers.\(layer).self_attn",
                        reason: "stores keys and values as one; \(name) has a scale for each"
                    )
                )
            }
        }
        for (layer, amax) in zip(contents.keyAmax, contents.valueAmax).enumerated()
        where !amax.0.isFinite || !amax.1.isFinite {
            obstacles.append(
                .init(
                    module: "model.layers.\(layer).self_attn",
                    reason: "has keys or values that are not finite on the calibration text"
                )
            )
        }
        return obstacles
    }

    /// The tensors of one quantized module.
    func tensors(
        of module: StoredModule,
        format: QuantizationFormat,
        in contents: ExportContents
    ) -> [StoredTensor] {
        let inputScale = staticInputs(of: format, in: contents)
            .flatMap { contents.inputScale(module, $0) }
        return scheme(of: format, in: contents)?.tensors
            .compactMap { StoredTensor($0, of: module, inputScale: inputScale) } ?? []
    }

    /// The scales of the key-value cache, in the order of layers.
    func cacheTensors(_ contents: ExportContents) -> [StoredTensor] {
        guard let cacheScales else { return [] }
        return zip(contents.keyAmax, contents.valueAmax).enumerated().flatMap { layer, amax in
            let names = cacheScales.names(layer: layer)
            return [(names.key, amax.0), (names.value, amax.1)].map { name, amax in
                StoredTensor(
                    name: name,
                    type: .f32,
                    shape: cacheScales.shape,
                    content: .constant(QuantizationFormat.fp8PerTensor.floatScale(amax: amax))
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
