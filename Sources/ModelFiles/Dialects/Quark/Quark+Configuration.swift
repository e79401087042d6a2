internal import Foundation
internal import Formats
internal import Transformer

/// What Quark's `quantization_config` says of a model.
///
/// - SeeAlso: Quark, `torch/quantization/config/template.py`, `_set_kv_cache_config`; vLLM,
///   `quantization/quark/quark.py`, `from_config`.
extension Quark {
    /// A module of the file with its line of the table.
    private typealias Quantized = (name: String, row: Row, format: QuantizationFormat)

    func configuration(_ contents: ExportContents) -> [String: Any] {
        let quantized: [Quantized] = contents.quantizedModules.compactMap { module, format in
            Self.row(of: format).map { (module.name, $0, format) }
        }
        // What most modules have is said of all.
        let byType = Dictionary(grouping: quantized, by: \.row.type)
        let common = byType.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }?.value
        var others: [String: Any] = [:]
        for module in quantized where module.row.type != common?.first?.row.type {
            others[module.name] = Self.scheme(module)
        }
        let hasCache = !contents.keyAmax.isEmpty
        let cache = hasCache ? Self.cacheSchemes(contents, quantized) : [:]
        if hasCache {
            // A scheme by name would go before that of the cache, and have no scale of the outputs.
            for group in Self.cacheGroup.map({ ModulePattern($0) }) {
                others = others.filter { !group.matches($0.key) }
            }
            others.merge(cache) { _, new in new }
        }
        let export: [String: Any] = [
            "kv_cache_group": hasCache ? Self.cacheGroup : [], "min_kv_scale": 0.0,
            "pack_method": "reorder", "weight_format": "real_quantized",
            "weight_merge_groups": NSNull(),
        ]
        return [
            "quant_method": name, "quant_mode": "eager_mode", "algo_config": NSNull(),
            "softmax_quant_spec": NSNull(),
            "global_quant_config": common?.first.map { Self.scheme($0) } ?? NSNull() as Any,
            "layer_quant_config": others, "layer_type_quant_config": [String: Any](),
            "exclude": contents.ignoredModules, "export": export,
            "kv_cache_quant_config": cache,
            "kv_cache_post_rope": false, "version": "0.10",
        ]
    }

    /// The schemes of the modules whose outputs are cached: by pattern, as Quark itself has them, or,
    /// where formats differ, by name.
    private static func cacheSchemes(
        _ contents: ExportContents,
        _ quantized: [Quantized]
    ) -> [String: Any] {
        let byName = Dictionary(uniqueKeysWithValues: quantized.map { ($0.name, $0) })
        var schemes: [String: Any] = [:]
        for group in cacheGroup {
            let pattern = ModulePattern(group)
            let names = contents.modules.map(\.name).filter(pattern.matches)
            let formats = Set(names.map { byName[$0]?.format })
            for key in formats.count == 1 ? [group] : names {
                let module = byName[key] ?? names.first.flatMap { byName[$0] }
                schemes[key] = scheme(
                    formats.count == 1 ? module : byName[key],
                    outputs: cacheOutputs
                )
            }
        }
        return schemes
    }

    /// E4M3 under a scale of the whole tensor, found beforehand.
    private static let cacheOutputs: [String: any Sendable] = [
        "dtype": "fp8_e4m3", "qscheme": "per_tensor", "symmetric": true,
        "round_method": "half_even", "scale_type": "float", "is_scale_quant": false,
        "observer_cls": "PerTensorMinMaxObserver", "is_dynamic": false,
    ]

    /// `quantized`: Nil of a module whose weight stays as it is.
    private static func scheme(
        _ quantized: Quantized?,
        outputs: [String: any Sendable]? = nil
    ) -> [String: Any] {
        let weight = quantized.map { tensor($0, isDynamic: false) }
        let inputs = quantized.map { tensor($0, isDynamic: true) }
        return [
            "bias": NSNull(), "output_tensors": outputs ?? NSNull() as Any,
            "target_device": NSNull(), "weight": weight ?? NSNull() as Any,
            "input_tensors": inputs ?? NSNull() as Any,
        ]
    }

    private static func tensor(_ quantized: Quantized, isDynamic: Bool) -> [String: Any] {
        let (row, format) = (quantized.row, quantized.format)
        return [
            "dtype": row.type, "qscheme": row.granularity, "ch_axis": -1,
            "group_size": row.groupSize ?? NSNull() as Any,
            "symmetric": NSNull(), "round_method": "half_even", "scale_type": "float",
            "scale_format": row.scaleFormat ?? NSNull() as Any,
            "scale_calculation_mode": scaleCalculation(of: format.scaleMode),
            "mx_element_dtype": NSNull(), "observer_cls": "PerBlockMXObserver",
            "is_scale_quant": false, "is_dynamic": isDynamic,
        ]
    }
}
