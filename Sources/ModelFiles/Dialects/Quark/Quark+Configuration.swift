internal import Foundation
internal import Formats
internal import Quantization
internal import Transformer

/// What Quark's `quantization_config` says of a model.
extension Quark {
    func configuration(_ contents: ExportContents) -> [String: Any] {
        let quantized = contents.quantizedModules.compactMap { module, format in
            Self.row(of: format).map { (name: module.name, row: $0, format: format) }
        }
        // What most modules have is said of all.
        let byType = Dictionary(grouping: quantized, by: \.row.type)
        let common = byType.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }?.value
        var others: [String: Any] = [:]
        for module in quantized where module.row.type != common?.first?.row.type {
            others[module.name] = Self.scheme(module.row, module.format)
        }
        let export: [String: Any] = [
            "kv_cache_group": [String](), "min_kv_scale": 0.0, "pack_method": "reorder",
            "weight_format": "real_quantized", "weight_merge_groups": NSNull(),
        ]
        return [
            "quant_method": name, "quant_mode": "eager_mode", "algo_config": NSNull(),
            "softmax_quant_spec": NSNull(),
            "global_quant_config": common?.first.map { Self.scheme($0.row, $0.format) }
                ?? NSNull() as Any,
            "layer_quant_config": others, "layer_type_quant_config": [String: Any](),
            "exclude": contents.ignoredModules, "export": export,
            "kv_cache_quant_config": [String: Any](),
            "kv_cache_post_rope": false, "version": "0.10",
        ]
    }

    private static func scheme(_ row: Row, _ format: QuantizationFormat) -> [String: Any] {
        let mode = format.scaleMode == .evenCT ? "even" : format.scaleMode.rawValue
        func tensor(isDynamic: Bool) -> [String: Any] {
            [
                "dtype": row.type, "qscheme": row.granularity, "ch_axis": -1,
                "group_size": row.groupSize ?? NSNull() as Any,
                "symmetric": NSNull(), "round_method": "half_even", "scale_type": "float",
                "scale_format": row.scaleFormat ?? NSNull() as Any,
                "scale_calculation_mode": mode,
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
