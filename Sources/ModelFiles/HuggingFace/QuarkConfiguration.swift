internal import Formats
internal import Quantization

/// AMD Quark's `quantization_config`.
///
/// - SeeAlso: vLLM, `model_executor/layers/quantization/quark/quark.py`.
struct QuarkConfiguration: CheckpointConfiguration {
    private let overall: WeightScheme?
    private let kinds: [String: WeightScheme?]
    private let layers: [String: WeightScheme?]
    private let globs: [(pattern: ModulePattern, scheme: WeightScheme?)]
    private let excluded: ModuleNames

    // Every module is held against every glob.
    private static let globLimit = 256

    init(_ root: JSONObject) throws(ModelFileError) {
        excluded = try ModuleNames(
            try root.texts("exclude") ?? [],
            .globs,
            place: root.place + ": exclude"
        )
        overall = try Self.scheme(try root.object("global_quant_config"))
        var kinds: [String: WeightScheme?] = [:]
        for (kind, value) in try root.object("layer_type_quant_config")?.objects() ?? [] {
            kinds[kind] = .some(try Self.scheme(value))
        }
        self.kinds = kinds
        var layers: [String: WeightScheme?] = [:]
        var globs: [(pattern: ModulePattern, scheme: WeightScheme?)] = []
        for (name, value) in try root.object("layer_quant_config")?.objects() ?? [] {
            let scheme = try Self.scheme(value)
            if !name.hasPrefix("re:"), name.contains(where: { $0 == "*" || $0 == "?" }) {
                globs.append((ModulePattern(name), scheme))
            } else {
                layers[name] = .some(scheme)
            }
        }
        guard globs.count <= Self.globLimit else {
            throw ModelFileError(
                .unsupported,
                """
                \(root.place): layer_quant_config has \(globs.count) globs, more than the limit of \
                \(Self.globLimit)
                """
            )
        }
        self.layers = layers
        self.globs = globs
    }

    /// What is said of the module by name, else by pattern, else of its class, else of all.
    func scheme(of module: String) -> WeightScheme? {
        guard module != "model.embed_tokens", excluded.match(module) == nil else { return nil }
        if let scheme = layers[module] { return scheme }
        if let glob = globs.first(where: { $0.pattern.matches(module) }) { return glob.scheme }
        if let scheme = kinds["Linear"] { return scheme }
        return overall
    }

    private static func scheme(_ layer: JSONObject?) throws(ModelFileError) -> WeightScheme? {
        guard let weight = try layer?.object("weight"), let type = try weight.text("dtype") else {
            return nil
        }
        let granularity = try weight.text("qscheme") ?? "?"
        let format: QuantizationFormat? =
            switch (type, granularity) {
            case ("fp4", "per_group"): .mxfp4
            case ("fp6_e2m3", "per_group"): .mxfp6E2M3
            case ("fp6_e3m2", "per_group"): .mxfp6E3M2
            case ("fp8_e4m3", "per_tensor"): .fp8PerTensor
            case ("fp8_e4m3", "per_channel"): .fp8PerChannel
            default: nil
            }
        let scale = try weight.text("scale_format") ?? "e8m0"
        let size = try weight.integer("group_size")
        let hasBlocks = format?.scaleKind.hasBlocks ?? false
        guard let format, !hasBlocks || scale == "e8m0" && size == 32 else {
            throw ModelFileError(
                .unsupported,
                """
                \(weight.place): \(type) \(granularity) of \(size ?? 0) with \(scale) scales; read \
                are fp4, fp6_e2m3 and fp6_e3m2 per_group of 32 with e8m0, fp8_e4m3 per_tensor and \
                per_channel
                """
            )
        }
        return WeightScheme(dialect: .quark, name: type, storage: .packed(format))
    }
}
