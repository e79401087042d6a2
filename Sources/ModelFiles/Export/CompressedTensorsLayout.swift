internal import Foundation
internal import Quantization

/// compressed-tensors, which vLLM and Transformers read.
///
/// - SeeAlso: vllm-project/compressed-tensors, `compressors/nvfp4`, `mxfp4` and `mxfp8`.
struct CompressedTensorsLayout: CheckpointLayout {
    let name = "compressed-tensors"

    private static let kinds: [(format: QuantizationFormat, name: String)] = [
        (.mxfp4, "mxfp4-pack-quantized"), (.nvfp4, "nvfp4-pack-quantized"),
        (.mxfp8, "mxfp8-quantized"),
    ]

    func obstacle(to format: QuantizationFormat) -> String? {
        Self.kinds.contains { format.isStored(as: $0.format) }
            ? nil : "compressed-tensors has mxfp4 by 32, nvfp4 by 16 and mxfp8 by 32"
    }

    func tensors(_ module: String, _ packed: PackedTensor) -> [StoredTensor] {
        let (rows, columns) = (packed.rows, packed.columns)
        let scaleShape = [rows, columns / packed.format.blockSize]
        if packed.format.isStored(as: .mxfp8) {
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
        var tensors = [
            StoredTensor(
                name: module + ".weight_packed",
                type: .u8,
                shape: [rows, columns / 2],
                bytes: packed.codes
            ),
            StoredTensor(
                name: module + ".weight_scale",
                type: packed.globalScale == nil ? .u8 : .f8E4M3,
                shape: scaleShape,
                bytes: packed.scales
            ),
        ]
        if let scale = packed.globalScale {
            // Readers divide by this one: it is the reciprocal.
            let reciprocal = scale > 0 ? 1 / scale : 1
            tensors.append(.floats(module + ".weight_global_scale", [reciprocal], shape: [1]))
        }
        return tensors
    }

    func configuration(
        formats: [String: QuantizationFormat],
        ignored: [String]
    ) -> [String: Any] {
        var groups: [String: Any] = [:]
        var used: [String] = []
        for kind in Self.kinds {
            let modules = formats.filter { $0.value.isStored(as: kind.format) }.keys.sorted()
            guard !modules.isEmpty else { continue }
            let targets = modules.count == formats.count ? ["Linear"] : modules
            groups["group_\(used.count)"] = Self.group(kind.format, kind.name, targets)
            used.append(kind.name)
        }
        return [
            "config_groups": groups,
            "format": used.count == 1 ? used[0] : "mixed-precision",
            "global_compression_ratio": NSNull(), "ignore": ignored, "kv_cache_scheme": NSNull(),
            "quant_method": "compressed-tensors", "quantization_status": "compressed",
            "sparsity_config": [String: Any](), "transform_config": [String: Any](),
            "version": "0.18.1",
        ]
    }

    private static func group(
        _ format: QuantizationFormat,
        _ name: String,
        _ targets: [String]
    ) -> [String: Any] {
        let isTwoLevel = format.scaleKind == .e4m3TwoLevel
        let scaleType = isTwoLevel ? "torch.float8_e4m3fn" : "torch.uint8"
        let weights: [String: Any] = [
            "actorder": NSNull(), "block_structure": NSNull(), "dynamic": false,
            "group_size": format.blockSize, "num_bits": format.element.bitWidth,
            "observer": "memoryless_minmax", "observer_kwargs": [String: Any](),
            "scale_dtype": scaleType, "strategy": isTwoLevel ? "tensor_group" : "group",
            "symmetric": true, "type": "float",
            "zp_dtype": isTwoLevel ? scaleType : NSNull() as Any,
        ]
        return [
            "format": name, "input_activations": NSNull(), "output_activations": NSNull(),
            "targets": targets, "weights": weights,
        ]
    }
}
