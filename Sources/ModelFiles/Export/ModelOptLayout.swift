internal import Formats
internal import Foundation
internal import Quantization
internal import Transformer

/// NVIDIA ModelOpt's Hugging Face checkpoints, which TensorRT-LLM, vLLM and SGLang read.
///
/// - SeeAlso: NVIDIA/Model-Optimizer, `modelopt/torch/export/quant_utils.py` and
///   `convert_hf_config.py`.
struct ModelOptLayout: CheckpointLayout {
    let name = "modelopt"

    private static let producer = ["name": "modelopt", "version": "0.43.0"]

    func obstacle(
        to format: QuantizationFormat,
        module: String,
        in description: ExportDescription
    ) -> String? {
        guard Self.algorithm(of: format, in: description) != nil else {
            return "modelopt has nvfp4 by 16, mxfp8 by 32, fp8_per_tensor and fp8_per_channel"
        }
        if format.isStored(as: .fp8PerTensor), description.inputAmax[module] == nil {
            return "modelopt's FP8 has input scales, too: give data.calibration"
        }
        return nil
    }

    func tensors(
        of entry: ParameterLayout.Entry,
        format: QuantizationFormat,
        in description: ExportDescription
    ) -> [StoredTensor] {
        let module = entry.module
        let isPacked = format.element.bitWidth == 4
        var tensors = [
            StoredTensor(
                name: module + ".weight",
                type: isPacked ? .u8 : .f8E4M3,
                shape: [entry.rows, entry.columns * format.element.bitWidth / 8],
                content: .codes
            )
        ]
        func scale(_ suffix: String, _ shape: [Int], _ content: StoredTensor.Content) {
            tensors.append(
                StoredTensor(name: module + suffix, type: .f32, shape: shape, content: content)
            )
        }
        switch format.scaleKind {
        case .e8m0, .e4m3TwoLevel:
            tensors.append(
                StoredTensor(
                    name: module + ".weight_scale",
                    type: format.scaleKind == .e8m0 ? .u8 : .f8E4M3,
                    shape: [entry.rows, entry.columns / format.blockSize],
                    content: .blockScales
                )
            )
        case .perTensor: scale(".weight_scale", [], .floatScales)
        case .perChannel: scale(".weight_scale", [entry.rows], .floatScales)
        }
        if format.scaleKind == .e4m3TwoLevel { scale(".weight_scale_2", [], .floatScales) }
        if Self.hasInputScale(format, in: description),
            let value = description.inputScale(module, format)
        {
            scale(".input_scale", [], .constant(value))
        }
        return tensors
    }

    func cacheTensors(layer: Int, keyScale: Float, valueScale: Float) -> [StoredTensor] {
        [("k_proj.k_scale", keyScale), ("v_proj.v_scale", valueScale)].map { name, scale in
            StoredTensor(
                name: "model.layers.\(layer).self_attn.\(name)",
                type: .f32,
                shape: [],
                content: .constant(scale)
            )
        }
    }

    func configuration(_ description: ExportDescription) -> [String: Any] {
        let algorithm = Self.algorithm(of: description)
        var configuration: [String: Any] = [
            "ignore": description.ignoredModules, "producer": Self.producer,
            "quant_method": "modelopt", "quant_algo": algorithm,
        ]
        let groups = Self.groups(description)
        if !groups.isEmpty { configuration["config_groups"] = groups }
        if let layers = Self.layers(description) { configuration["quantized_layers"] = layers }
        if !description.keyAmax.isEmpty {
            configuration["kv_cache_scheme"] =
                ["dynamic": false, "num_bits": 8, "type": "float"] as [String: Any]
        }
        return configuration
    }

    func files(_ description: ExportDescription) -> [String: [String: Any]] {
        var quantization: [String: Any] = [
            "quant_algo": Self.algorithm(of: description),
            "exclude_modules": description.ignoredModules,
            "kv_cache_quant_algo": description.keyAmax.isEmpty ? NSNull() : "FP8" as Any,
        ]
        if let layers = Self.layers(description) {
            quantization["quantized_layers"] = layers
        } else if let format = description.formats.values.first, format.scaleKind.hasBlocks {
            quantization["group_size"] = format.blockSize
        }
        let root: [String: Any] = ["producer": Self.producer, "quantization": quantization]
        return ["hf_quant_config.json": root]
    }

    /// FP8 always has one; NVFP4 if inputs shall be quantized and their range is known.
    private static func hasInputScale(
        _ format: QuantizationFormat,
        in description: ExportDescription
    ) -> Bool {
        if format.isStored(as: .fp8PerTensor) { return true }
        return format.isStored(as: .nvfp4) && description.activations?.isStored(as: .nvfp4) == true
            && !description.inputAmax.isEmpty
    }

    private static func algorithm(
        of format: QuantizationFormat,
        in description: ExportDescription
    ) -> String? {
        if format.isStored(as: .nvfp4) {
            return hasInputScale(format, in: description) ? "NVFP4" : "W4A16_NVFP4"
        }
        if format.isStored(as: .mxfp8) { return "MXFP8" }
        if format.isStored(as: .fp8PerTensor) { return "FP8" }
        return format.isStored(as: .fp8PerChannel) ? "FP8_PER_CHANNEL_PER_TOKEN" : nil
    }

    private static func algorithm(of description: ExportDescription) -> String {
        let algorithms = Set(
            description.formats.values.compactMap { algorithm(of: $0, in: description) }
        )
        return algorithms.count == 1 ? algorithms.first ?? "" : "MIXED_PRECISION"
    }

    /// Formats by layer, where they differ.
    private static func layers(_ description: ExportDescription) -> [String: Any]? {
        guard algorithm(of: description) == "MIXED_PRECISION" else { return nil }
        return description.formats.mapValues { format -> [String: Any] in
            var layer: [String: Any] = [
                "quant_algo": algorithm(of: format, in: description) ?? ""
            ]
            if format.scaleKind.hasBlocks { layer["group_size"] = format.blockSize }
            return layer
        }
    }

    /// `config_groups`, which the converter writes for FP8, NVFP4 and mixtures.
    private static func groups(_ description: ExportDescription) -> [String: Any] {
        let overall = algorithm(of: description)
        guard ["FP8", "NVFP4", "W4A16_NVFP4", "MIXED_PRECISION"].contains(overall) else {
            return [:]
        }
        var groups: [String: Any] = [:]
        let byAlgorithm = Dictionary(grouping: description.formats) {
            algorithm(of: $0.value, in: description) ?? ""
        }
        for (name, modules) in byAlgorithm.sorted(by: { $0.key < $1.key }) {
            guard let format = modules.first?.value else { continue }
            var weights: [String: Any] = [
                "dynamic": false, "num_bits": format.element.bitWidth, "type": "float",
            ]
            if format.scaleKind.hasBlocks { weights["group_size"] = format.blockSize }
            let targets = byAlgorithm.count == 1 ? ["Linear"] : modules.map(\.key).sorted()
            var group: [String: Any] = ["weights": weights, "targets": targets]
            if name != "W4A16_NVFP4" { group["input_activations"] = weights }
            groups["group_\(groups.count)"] = group
        }
        return groups
    }
}
