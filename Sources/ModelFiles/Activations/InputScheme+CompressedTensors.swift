internal import Formats

/// What compressed-tensors says of inputs: `input_activations` of each config group.
///
/// - SeeAlso: vllm-project/compressed-tensors, `quantization/quant_args.py`.
struct CompressedTensorsInputs {
    private let groups: [(targets: ModuleNames, inputs: InputScheme)]

    /// Reads `quantization_config`.
    init(_ root: JSONObject) throws(ModelFileError) {
        var groups: [(targets: ModuleNames, inputs: InputScheme)] = []
        for (_, group) in try root.object("config_groups")?.objects() ?? [] {
            let targets = try ModuleNames(
                try group.texts("targets") ?? [],
                .expressions,
                place: group.place + ": targets"
            )
            groups.append((targets, try Self.inputs(try group.object("input_activations"))))
        }
        self.groups = groups
    }

    /// What is said of a quantized module by the group that names it most closely.
    func inputs(of module: String) -> InputScheme {
        var best: (match: Int, inputs: InputScheme)?
        for group in groups {
            guard let match = group.targets.match(module)?.rawValue else { continue }
            if match > best?.match ?? -1 { best = (match, group.inputs) }
        }
        return best?.inputs ?? .plain
    }

    private static func inputs(_ arguments: JSONObject?) throws(ModelFileError) -> InputScheme {
        guard let arguments else { return .plain }
        let bits = try arguments.integer("num_bits") ?? 0
        let type = try arguments.text("type") ?? "int"
        let size = try arguments.integer("group_size")
        let strategy = try arguments.text("strategy") ?? (size == nil ? "tensor" : "group")
        // "local": block scales are found as the model runs, the scale of the tensor is stored.
        let isDynamic = arguments["dynamic"] == .flag(true)
        let isSymmetric = try arguments.flag("symmetric") ?? true
        switch (type, bits, strategy, size) {
        case ("float", 4, "group", 16), ("float", 4, "tensor_group", 16):
            return isDynamic
                ? .dynamic(rounded(.nvfp4))
                : .stored(rounded(.nvfp4), suffix: ".input_global_scale", isReciprocal: true)
        case ("float", 8, "tensor", nil):
            return isDynamic
                ? .dynamic(rounded(.fp8PerTensor))
                : .stored(rounded(.fp8PerTensor), suffix: ".input_scale", isReciprocal: false)
        case ("float", 4, "group", 32) where isDynamic: return .dynamic(rounded(.mxfp4))
        case ("float", 8, "group", 32) where isDynamic: return .dynamic(rounded(.mxfp8))
        case ("float", 8, "token", nil) where isDynamic: return .dynamic(rounded(.fp8PerChannel))
        default:
            let kind = "\(isSymmetric ? "" : "asymmetric ")\(isDynamic ? "dynamic" : "static")"
            return .unknown(
                """
                input_activations are \(kind) \(bits)-bit \(type) by \(strategy) of \(size ?? 0), \
                which is not computed here
                """
            )
        }
    }

    /// The package's own rule for powers of two.
    private static func rounded(_ format: QuantizationFormat) -> QuantizationFormat {
        guard format.scaleKind == .e8m0 else { return format }
        var format = format
        format.scaleMode = .evenCT
        return format
    }
}
