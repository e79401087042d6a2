internal import Quantization

/// NVIDIA ModelOpt's Hugging Face checkpoints, which TensorRT-LLM and vLLM read.
///
/// Weights only: no input scales are written, so servers compute with unquantized inputs.
/// - SeeAlso: NVIDIA/Model-Optimizer, `modelopt/torch/export/quant_utils.py`.
struct ModelOptLayout: CheckpointLayout {
    let name = "modelopt"

    private static let kinds: [(format: QuantizationFormat, algorithm: String)] = [
        (.nvfp4, "W4A16_NVFP4"), (.mxfp8, "MXFP8"),
    ]
    private static let producer = ["name": "modelopt", "version": "0.43.0"]

    func obstacle(to format: QuantizationFormat) -> String? {
        Self.algorithm(of: format) == nil ? "modelopt has nvfp4 by 16 and mxfp8 by 32" : nil
    }

    func tensors(_ module: String, _ packed: PackedTensor) -> [StoredTensor] {
        let (rows, columns) = (packed.rows, packed.columns)
        let scaleShape = [rows, columns / packed.format.blockSize]
        guard let scale = packed.globalScale else {
            return [
                StoredTensor(
                    name: module + ".weight",
                    type: .f8E4M3,
                    shape: [rows, columns],
                    bytes: packed.codes
                ),
                StoredTensor(
                    name: module + ".weight_scale",
                    type: .u8,
                    shape: scaleShape,
                    bytes: packed.scales
                ),
            ]
        }
        return [
            StoredTensor(
                name: module + ".weight",
                type: .u8,
                shape: [rows, columns / 2],
                bytes: packed.codes
            ),
            StoredTensor(
                name: module + ".weight_scale",
                type: .f8E4M3,
                shape: scaleShape,
                bytes: packed.scales
            ),
            .floats(module + ".weight_scale_2", [scale], shape: []),
        ]
    }

    func configuration(
        formats: [String: QuantizationFormat],
        ignored: [String]
    ) -> [String: Any] {
        var configuration: [String: Any] = [
            "ignore": ignored, "producer": Self.producer, "quant_method": "modelopt",
            "quant_algo": Self.algorithm(of: formats),
        ]
        if let layers = Self.layers(formats) { configuration["quantized_layers"] = layers }
        return configuration
    }

    func files(
        formats: [String: QuantizationFormat],
        ignored: [String]
    ) -> [String: [String: Any]] {
        var quantization: [String: Any] = [
            "quant_algo": Self.algorithm(of: formats), "exclude_modules": ignored,
        ]
        if let layers = Self.layers(formats) {
            quantization["quantized_layers"] = layers
        } else if let format = formats.values.first {
            quantization["group_size"] = format.blockSize
        }
        let root: [String: Any] = ["producer": Self.producer, "quantization": quantization]
        return ["hf_quant_config.json": root]
    }

    private static func algorithm(of format: QuantizationFormat) -> String? {
        kinds.first { format.isStored(as: $0.format) }?.algorithm
    }

    private static func algorithm(of formats: [String: QuantizationFormat]) -> String {
        let algorithms = Set(formats.values.compactMap { algorithm(of: $0) })
        return algorithms.count == 1 ? algorithms.first ?? "" : "MIXED_PRECISION"
    }

    /// Formats by layer, where they differ.
    private static func layers(_ formats: [String: QuantizationFormat]) -> [String: Any]? {
        guard algorithm(of: formats) == "MIXED_PRECISION" else { return nil }
        return formats.mapValues { format -> [String: Any] in
            ["quant_algo": algorithm(of: format) ?? "", "group_size": format.blockSize]
        }
    }
}
