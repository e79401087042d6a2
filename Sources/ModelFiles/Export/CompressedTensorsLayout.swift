internal import Formats
internal import Foundation
internal import Quantization
internal import Transformer

/// compressed-tensors, which vLLM, TensorRT-LLM and Transformers read.
///
/// - SeeAlso: vllm-project/compressed-tensors, `compressors/nvfp4`, `mxfp4`, `mxfp8`, and
///   `quantization/quant_scheme.py`.
struct CompressedTensorsLayout: CheckpointLayout {
    let name = "compressed-tensors"

    private static let kinds: [(format: QuantizationFormat, name: String)] = [
        (.mxfp4, "mxfp4-pack-quantized"), (.nvfp4, "nvfp4-pack-quantized"),
        (.mxfp8, "mxfp8-quantized"), (.fp8PerTensor, "float-quantized"),
        (.fp8PerChannel, "float-quantized"),
    ]

    func obstacle(
        to format: QuantizationFormat,
        module: String,
        in description: ExportDescription
    ) -> String? {
        Self.kinds.contains { format.isStored(as: $0.format) }
            ? nil
            : "compressed-tensors has mxfp4 by 32, nvfp4 by 16, mxfp8 by 32, fp8_per_tensor and "
                + "fp8_per_channel"
    }

    func tensors(
        of entry: ParameterLayout.Entry,
        format: QuantizationFormat,
        in description: ExportDescription
    ) -> [StoredTensor] {
        let isPacked = format.element.bitWidth == 4
        let rows = entry.rows
        var tensors = [
            StoredTensor(
                name: entry.module + (isPacked ? ".weight_packed" : ".weight"),
                type: isPacked ? .u8 : .f8E4M3,
                shape: [rows, entry.columns * format.element.bitWidth / 8],
                content: .codes
            )
        ]
        let scale = entry.module + ".weight_scale"
        switch format.scaleKind {
        case .e8m0, .e4m3TwoLevel:
            tensors.append(
                StoredTensor(
                    name: scale,
                    type: format.scaleKind == .e8m0 ? .u8 : .f8E4M3,
                    shape: [rows, entry.columns / format.blockSize],
                    content: .blockScales
                )
            )
        case .perTensor, .perChannel:
            let shape = format.scaleKind == .perTensor ? [1] : [rows, 1]
            tensors.append(
                StoredTensor(name: scale, type: .f32, shape: shape, content: .floatScales)
            )
        }
        if format.scaleKind == .e4m3TwoLevel {
            // Readers divide by this one: it is the reciprocal.
            tensors.append(
                StoredTensor(
                    name: entry.module + ".weight_global_scale",
                    type: .f32,
                    shape: [1],
                    content: .reciprocalScales
                )
            )
        }
        if let inputs = Self.inputs(of: format, in: description),
            let value = description.inputScale(entry.module, inputs)
        {
            let isReciprocal = inputs.scaleKind == .e4m3TwoLevel
            tensors.append(
                StoredTensor(
                    name: entry.module + (isReciprocal ? ".input_global_scale" : ".input_scale"),
                    type: .f32,
                    shape: [1],
                    content: .constant(isReciprocal ? 1 / value : value)
                )
            )
        }
        return tensors
    }

    func cacheTensors(layer: Int, keyScale: Float, valueScale: Float) -> [StoredTensor] {
        [("k_scale", keyScale), ("v_scale", valueScale)].map { name, scale in
            StoredTensor(
                name: "model.layers.\(layer).self_attn.\(name)",
                type: .f32,
                shape: [1],
                content: .constant(scale)
            )
        }
    }

    func configuration(_ description: ExportDescription) -> [String: Any] {
        let formats = description.formats
        var groups: [String: Any] = [:]
        var used: Set<String> = []
        for kind in Self.kinds {
            let modules = formats.filter { $0.value.isStored(as: kind.format) }.keys.sorted()
            guard !modules.isEmpty else { continue }
            let targets = modules.count == formats.count ? ["Linear"] : modules
            groups["group_\(groups.count)"] =
                [
                    "format": kind.name, "output_activations": NSNull(), "targets": targets,
                    "weights": Self.scheme(kind.format, isWeight: true, isStatic: true),
                    "input_activations": Self.inputs(of: kind.format, in: description).map {
                        Self.scheme(
                            $0,
                            isWeight: false,
                            isStatic: description.inputScale(modules[0], $0) != nil
                        )
                    } ?? NSNull(),
                ] as [String: Any]
            used.insert(kind.name)
        }
        let cache: Any =
            description.keyAmax.isEmpty
            ? NSNull()
            : [
                "num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": false,
                "symmetric": true,
            ] as [String: Any]
        return [
            "config_groups": groups,
            "format": used.count == 1 ? used.first ?? "" : "mixed-precision",
            "global_compression_ratio": NSNull(), "ignore": description.ignoredModules,
            "kv_cache_scheme": cache, "quant_method": "compressed-tensors",
            "quantization_status": "compressed", "sparsity_config": [String: Any](),
            "transform_config": [String: Any](), "version": "0.18.1",
        ]
    }

    /// How the inputs of modules of a format are quantized: as asked for, where the weights' scheme
    /// has such inputs.
    private static func inputs(
        of format: QuantizationFormat,
        in description: ExportDescription
    ) -> QuantizationFormat? {
        guard let activations = description.activations else { return nil }
        let isFP8 = format.element == .e4m3 && !format.scaleKind.hasBlocks
        if isFP8, activations.element == .e4m3, !activations.scaleKind.hasBlocks {
            return activations
        }
        return activations.isStored(as: format) ? activations : nil
    }

    private static func scheme(
        _ format: QuantizationFormat,
        isWeight: Bool,
        isStatic: Bool
    ) -> [String: Any] {
        let strategy =
            switch format.scaleKind {
            case .e8m0: "group"
            case .e4m3TwoLevel: "tensor_group"
            case .perTensor: isStatic ? "tensor" : "token"
            case .perChannel: isWeight ? "channel" : "token"
            }
        let isTwoLevel = format.scaleKind == .e4m3TwoLevel
        let dynamic: Any =
            isWeight ? false : isTwoLevel && isStatic ? "local" : strategy != "tensor"
        let scaleType: Any =
            switch format.scaleKind {
            case .e8m0: "torch.uint8"
            case .e4m3TwoLevel: "torch.float8_e4m3fn"
            case .perTensor, .perChannel: NSNull()
            }
        return [
            "actorder": NSNull(), "block_structure": NSNull(), "dynamic": dynamic,
            "group_size": format.scaleKind.hasBlocks ? format.blockSize : NSNull() as Any,
            "num_bits": format.element.bitWidth,
            "observer": isWeight
                ? "memoryless_minmax" : isStatic ? "static_minmax" : NSNull() as Any,
            "observer_kwargs": [String: Any](), "scale_dtype": scaleType, "strategy": strategy,
            "symmetric": true, "type": "float",
            "zp_dtype": isTwoLevel ? scaleType : NSNull() as Any,
        ]
    }
}
