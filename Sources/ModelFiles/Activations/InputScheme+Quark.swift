internal import Formats

/// What AMD Quark says of inputs: `input_tensors` of each layer's configuration.
///
/// - SeeAlso: vLLM, `model_executor/layers/quantization/quark/quark.py`.
struct QuarkInputs {
    private let overall: InputScheme
    private let linear: InputScheme?
    private let layers: [String: InputScheme]
    private let globs: [(pattern: ModulePattern, inputs: InputScheme)]

    /// Reads `quantization_config`.
    init(_ root: JSONObject) throws(ModelFileError) {
        overall = try Self.inputs(try root.object("global_quant_config"))
        let kinds = try root.object("layer_type_quant_config")?.objects() ?? []
        var linear: InputScheme?
        for (kind, layer) in kinds where kind == "Linear" { linear = try Self.inputs(layer) }
        self.linear = linear
        var layers: [String: InputScheme] = [:]
        var globs: [(pattern: ModulePattern, inputs: InputScheme)] = []
        for (name, layer) in try root.object("layer_quant_config")?.objects() ?? [] {
            let inputs = try Self.inputs(layer)
            if name.contains(where: { $0 == "*" || $0 == "?" }) {
                globs.append((ModulePattern(name), inputs))
            } else {
                layers[name] = inputs
            }
        }
        self.layers = layers
        self.globs = globs
    }

    /// What is said of a quantized module by name, else by pattern, else of its class, else of all.
    func inputs(of module: String) -> InputScheme {
        layers[module] ?? globs.first { $0.pattern.matches(module) }?.inputs ?? linear ?? overall
    }

    private static func inputs(_ layer: JSONObject?) throws(ModelFileError) -> InputScheme {
        guard let tensor = try layer?.object("input_tensors"), let type = try tensor.text("dtype")
        else { return .plain }
        let granularity = try tensor.text("qscheme") ?? "?"
        let size = try tensor.integer("group_size")
        let isDynamic = try tensor.flag("is_dynamic") ?? false
        let mode = ScaleMode(rawValue: try tensor.text("scale_calculation_mode") ?? "") ?? .even
        func rounded(_ format: QuantizationFormat) -> InputScheme {
            var format = format
            format.scaleMode = mode
            return .dynamic(format)
        }
        switch (type, granularity, size) {
        case ("fp4", "per_group", 32) where isDynamic: return rounded(.mxfp4)
        case ("fp6_e2m3", "per_group", 32) where isDynamic: return rounded(.mxfp6E2M3)
        case ("fp6_e3m2", "per_group", 32) where isDynamic: return rounded(.mxfp6E3M2)
        case ("fp8_e4m3", "per_token", _) where isDynamic,
            ("fp8_e4m3", "per_channel", _) where isDynamic:
            return .dynamic(.fp8PerChannel)
        case ("fp8_e4m3", "per_tensor", _):
            return isDynamic
                ? .dynamic(.fp8PerTensor)
                : .stored(.fp8PerTensor, suffix: ".input_scale", isReciprocal: false)
        default:
            return .unknown(
                """
                input_tensors are \(isDynamic ? "dynamic" : "static") \(type) \(granularity) of \
                \(size ?? 0), which is not computed here
                """
            )
        }
    }
}
