internal import Formats
internal import Foundation
internal import Quantization
internal import Transformer

/// AMD Quark's OCP-MX checkpoints, the only ones with FP6 that a server loads.
///
/// vLLM demands that inputs are quantized, too; the configuration asks for the weights' own format,
/// chosen as the server runs.
/// - SeeAlso: vLLM, `quantization/quark/schemes/quark_ocp_mx.py`.
struct QuarkLayout: CheckpointLayout {
    let name = "quark"

    private static let kinds: [(format: QuantizationFormat, type: String)] = [
        (.mxfp4, "fp4"), (.mxfp6E2M3, "fp6_e2m3"), (.mxfp6E3M2, "fp6_e3m2"),
    ]

    func obstacle(
        to format: QuantizationFormat,
        module: String,
        in description: ExportDescription
    ) -> String? {
        Self.type(of: format) == nil
            ? "quark has mxfp4, mxfp6_e2m3 and mxfp6_e3m2 by 32" : nil
    }

    func tensors(
        of entry: ParameterLayout.Entry,
        format: QuantizationFormat,
        in description: ExportDescription
    ) -> [StoredTensor] {
        [
            StoredTensor(
                name: entry.module + ".weight",
                type: .u8,
                shape: [entry.rows, entry.columns * format.element.bitWidth / 8],
                content: .codes
            ),
            StoredTensor(
                name: entry.module + ".weight_scale",
                type: .u8,
                shape: [entry.rows, entry.columns / format.blockSize],
                content: .blockScales
            ),
        ]
    }

    func configuration(_ description: ExportDescription) -> [String: Any] {
        let formats = description.formats
        let counts = Dictionary(grouping: formats.values.compactMap(Self.type(of:)), by: { $0 })
        let common = counts.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }?.key ?? ""
        let others = formats.compactMapValues { format -> [String: Any]? in
            let type = Self.type(of: format) ?? ""
            return type == common ? nil : Self.scheme(type, format)
        }
        let format = formats.values.first { Self.type(of: $0) == common } ?? .mxfp4
        let export: [String: Any] = [
            "kv_cache_group": [String](), "min_kv_scale": 0.0, "pack_method": "reorder",
            "weight_format": "real_quantized", "weight_merge_groups": NSNull(),
        ]
        return [
            "quant_method": "quark", "quant_mode": "eager_mode", "algo_config": NSNull(),
            "softmax_quant_spec": NSNull(), "global_quant_config": Self.scheme(common, format),
            "layer_quant_config": others, "layer_type_quant_config": [String: Any](),
            "exclude": description.ignoredModules, "export": export,
            "kv_cache_quant_config": [String: Any](),
            "kv_cache_post_rope": false, "version": "0.10",
        ]
    }

    private static func type(of format: QuantizationFormat) -> String? {
        kinds.first { format.isStored(as: $0.format) }?.type
    }

    private static func scheme(_ type: String, _ format: QuantizationFormat) -> [String: Any] {
        let mode = format.scaleMode == .evenCT ? "even" : format.scaleMode.rawValue
        func tensor(isDynamic: Bool) -> [String: Any] {
            [
                "dtype": type, "qscheme": "per_group", "ch_axis": -1, "group_size": 32,
                "symmetric": NSNull(), "round_method": "half_even", "scale_type": "float",
                "scale_format": "e8m0", "scale_calculation_mode": mode,
                "mx_element_dtype": NSNull(), "observer_cls": "PerBlockMXObserver",
                "is_scale_quant": false, "is_dynamic": isDynamic,
            ]
        }
        return [
            "bias": NSNull(), "output_tensors": NSNull(), "target_device": NSNull(),
            "weight": tensor(isDynamic: false), "input_tensors": tensor(isDynamic: true),
        ]
    }
}
