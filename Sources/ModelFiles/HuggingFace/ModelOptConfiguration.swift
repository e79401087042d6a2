internal import Formats
internal import Quantization

/// ModelOpt's `quantization_config`, or `quantization` of hf_quant_config.json.
///
/// - SeeAlso: NVIDIA/Model-Optimizer, `modelopt/torch/export/quant_utils.py`,
///   `convert_hf_config.py`.
struct ModelOptConfiguration: CheckpointConfiguration {
    private let overall: WeightScheme?
    /// Of mixed precision: what is not named here is not quantized.
    private let layers: [String: WeightScheme]
    private let ignored: ModuleNames

    private static let formats: [String: QuantizationFormat] = [
        "FP8": .fp8PerTensor, "FP8_PER_CHANNEL_PER_TOKEN": .fp8PerChannel, "NVFP4": .nvfp4,
        "NVFP4_AWQ": .nvfp4, "W4A16_NVFP4": .nvfp4, "W4A8_NVFP4_FP8": .nvfp4, "MXFP8": .mxfp8,
        "W4A8_MXFP4_FP8": .mxfp4, "W4A8_MXFP4_MXFP8": .mxfp4, "W4A16_MXFP4": .mxfp4,
        "mxfp4": .mxfp4,
    ]

    init(_ root: JSONObject) throws(ModelFileError) {
        let lists = (try root.texts("ignore"), try root.texts("exclude_modules"))
        ignored = try ModuleNames(
            lists.0 ?? lists.1 ?? [],
            .globs,
            place: root.place + ": ignore"
        )
        let algorithm = try root.text("quant_algo")
        var layers: [String: WeightScheme] = [:]
        guard algorithm == "MIXED_PRECISION" else {
            overall = try Self.scheme(root, algorithm)
            self.layers = layers
            return
        }
        overall = nil
        guard let named = try root.object("quantized_layers") else {
            throw ModelFileError(
                .malformed,
                "\(root.place): quant_algo is MIXED_PRECISION, but quantized_layers is missing"
            )
        }
        for (name, layer) in try named.objects() {
            layers[name] = try Self.scheme(layer, try layer.text("quant_algo"))
        }
        self.layers = layers
    }

    func scheme(of module: String) -> WeightScheme? {
        if let layer = layers[module] { return layer }
        return module == "model.embed_tokens" || ignored.match(module) != nil ? nil : overall
    }

    private static func scheme(
        _ root: JSONObject,
        _ algorithm: String?
    ) throws(ModelFileError) -> WeightScheme? {
        guard let algorithm else { return nil }
        guard let format = formats[algorithm] else {
            throw ModelFileError(
                .unsupported,
                """
                \(root.place): quant_algo \(algorithm); read are \
                \(formats.keys.sorted().joined(separator: ", ")) and MIXED_PRECISION
                """
            )
        }
        let size = try root.integer("group_size")
        guard !format.scaleKind.hasBlocks || size == nil || size == format.blockSize else {
            throw ModelFileError(
                .unsupported,
                "\(root.place): \(algorithm) by \(size ?? 0); by \(format.blockSize) is read"
            )
        }
        return WeightScheme(dialect: .modelopt, name: algorithm, storage: .packed(format))
    }
}
