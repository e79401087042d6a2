internal import Formats
internal import Quantization

/// compressed-tensors' `quantization_config`.
///
/// - SeeAlso: vllm-project/compressed-tensors, `quantization/quant_config.py`, `quant_args.py`,
///   `utils/match.py`.
struct CompressedTensorsConfiguration: CheckpointConfiguration {
    private let groups: [(targets: ModuleNames, scheme: WeightScheme)]
    private let ignored: ModuleNames

    init(_ root: JSONObject) throws(ModelFileError) {
        try Self.refuseTransforms(root)
        ignored = try ModuleNames(
            try root.texts("ignore") ?? [],
            .expressions,
            place: root.place + ": ignore"
        )
        let overall = try root.text("format")
        var groups: [(targets: ModuleNames, scheme: WeightScheme)] = []
        for (name, group) in try root.object("config_groups")?.objects() ?? [] {
            guard let weights = try group.object("weights") else { continue }
            let targets = try ModuleNames(
                try group.texts("targets") ?? [],
                .expressions,
                place: group.place + ": targets"
            )
            let format = try group.text("format") ?? overall
            groups.append((targets, try Self.scheme(weights, format: format)))
            guard groups.count <= 256 else {
                throw ModelFileError(.unsupported, "\(root.place): more groups than 256 at \(name)")
            }
        }
        self.groups = groups
    }

    /// The group that names it most closely, the first one of equals.
    func scheme(of module: String) -> WeightScheme? {
        guard ignored.match(module) == nil else { return nil }
        var best: (match: Int, scheme: WeightScheme)?
        for group in groups {
            guard let match = group.targets.match(module)?.rawValue else { continue }
            if match > best?.match ?? -1 { best = (match, group.scheme) }
        }
        return best?.scheme
    }

    private static func scheme(
        _ weights: JSONObject,
        format: String?
    ) throws(ModelFileError) -> WeightScheme {
        let bits = try weights.integer("num_bits") ?? 0
        let kind = try weights.text("type") ?? "int"
        let size = try weights.integer("group_size")
        let strategy = try weights.text("strategy") ?? (size == nil ? "tensor" : "group")
        guard kind == "float", try weights.flag("symmetric") ?? true else {
            throw ModelFileError(
                .unsupported,
                "\(weights.place): \(bits)-bit \(kind) weights; symmetric floats are read"
            )
        }
        let storage: WeightScheme.Storage
        let name: String
        switch (bits, strategy, size) {
        case (4, "tensor_group", 16), (4, "group", 16):
            (storage, name) = (.packed(.nvfp4), "nvfp4-pack-quantized")
        case (4, "group", 32): (storage, name) = (.packed(.mxfp4), "mxfp4-pack-quantized")
        case (8, "group", 32): (storage, name) = (.packed(.mxfp8), "mxfp8-quantized")
        case (8, "tensor", nil): (storage, name) = (.packed(.fp8PerTensor), "float-quantized")
        case (8, "channel", nil): (storage, name) = (.packed(.fp8PerChannel), "float-quantized")
        case (8, "block", _):
            (storage, name) = (try tiles(weights), "float-quantized")
        default:
            throw ModelFileError(
                .unsupported,
                """
                \(weights.place): \(bits)-bit floats by \(strategy) of \(size ?? 0); read are 4 bits \
                by group of 16 or 32, 8 bits by group of 32, tensor, channel or block
                """
            )
        }
        // The older name of FP8, and that of mixtures, say less.
        guard [nil, name, "mixed-precision", "naive-quantized"].contains(format) else {
            throw ModelFileError(
                .malformed,
                "\(weights.place): these weights are \(name), but the format is \(format ?? "?")"
            )
        }
        return WeightScheme(dialect: .compressedTensors, name: name, storage: storage)
    }

    /// `block_structure` is a pair, or a text of older files, as in `128x128`.
    private static func tiles(_ weights: JSONObject) throws(ModelFileError) -> WeightScheme.Storage
    {
        var sizes: [Int] = []
        switch weights["block_structure"] {
        case .list(let list):
            sizes = list.compactMap { if case .integer(let size) = $0 { size } else { nil } }
        case .text(let text):
            sizes = text.split(separator: "x").compactMap { Int($0) }
        default: break
        }
        guard sizes.count == 2, sizes.allSatisfy({ (1...1 << 20).contains($0) }) else {
            throw ModelFileError(
                .malformed,
                "\(weights.place): block_structure is not two positive numbers"
            )
        }
        return .tiles(rows: sizes[0], columns: sizes[1])
    }

    /// Rotations and sparsity change what the weights mean.
    private static func refuseTransforms(_ root: JSONObject) throws(ModelFileError) {
        let sparsity = try root.object("sparsity_config")?.text("format") ?? "dense"
        guard sparsity == "dense" else {
            throw ModelFileError(.unsupported, "\(root.place): sparsity \(sparsity) is not read")
        }
        let transforms = try root.object("transform_config")?.object("config_groups")?.members
        guard transforms?.isEmpty ?? true else {
            throw ModelFileError(.unsupported, "\(root.place): transform_config is not read")
        }
    }
}
