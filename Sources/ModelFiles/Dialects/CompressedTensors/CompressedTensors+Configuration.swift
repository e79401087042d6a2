internal import Foundation
internal import Formats
internal import Transformer

/// What compressed-tensors' `quantization_config` says of a model.
extension CompressedTensors {
    func configuration(_ contents: ExportContents) -> [String: Any] {
        let quantized = contents.quantizedModules
        var groups: [String: Any] = [:]
        var used: Set<String> = []
        for row in Self.rows {
            guard let format = row.format else { continue }
            let modules = quantized.filter { $0.format.isStored(as: format) }.map(\.module)
            guard let first = modules.first else { continue }
            let isWhole = modules.count == quantized.count
            let activations = Self.inputs(of: format, in: contents)
            let isStatic = activations.flatMap { contents.inputScale(first, $0) } != nil
            let inputs = activations.flatMap(Self.row).map {
                Self.arguments(ofInputs: $0, isStatic: isStatic)
            }
            let group: [String: Any] = [
                "format": row.scheme.name, "output_activations": NSNull(),
                "targets": isWhole ? ["Linear"] : modules.map(\.name),
                "weights": Self.arguments(ofWeights: row),
                "input_activations": inputs ?? NSNull() as Any,
            ]
            groups["group_\(groups.count)"] = group
            used.insert(row.scheme.name)
        }
        let cache: [String: Any] = [
            "num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": false,
            "symmetric": true,
        ]
        return [
            "config_groups": groups,
            "format": used.count == 1 ? used.first ?? "" : "mixed-precision",
            "global_compression_ratio": NSNull(), "ignore": contents.ignoredModules,
            "kv_cache_scheme": contents.keyAmax.isEmpty ? NSNull() : cache as Any,
            "quant_method": name, "quantization_status": "compressed",
            "sparsity_config": [String: Any](), "transform_config": [String: Any](),
            "version": "0.18.1",
        ]
    }

    private static func arguments(ofWeights row: Row) -> [String: Any] {
        arguments(
            row,
            strategy: row.strategy,
            dynamic: false,
            observer: "memoryless_minmax"
        )
    }

    /// `isStatic`: Whether the file holds a scale for them.
    private static func arguments(ofInputs row: Row, isStatic: Bool) -> [String: Any] {
        // Scales of whole tensors are one per token where they are found as the server runs.
        let strategy: Arguments.Strategy =
            row.groupSize != nil
            ? row.strategy : row.strategy == .tensor && isStatic ? .tensor : .token
        let isLocal = row.scheme.twoLevelTensor != nil && isStatic
        return arguments(
            row,
            strategy: strategy,
            dynamic: isLocal ? "local" : strategy != .tensor,
            observer: isStatic ? "static_minmax" : nil
        )
    }

    private static func arguments(
        _ row: Row,
        strategy: Arguments.Strategy,
        dynamic: Any,
        observer: String?
    ) -> [String: Any] {
        let isTwoLevel = row.scheme.twoLevelTensor != nil
        return [
            "actorder": NSNull(), "block_structure": NSNull(), "dynamic": dynamic,
            "group_size": row.groupSize ?? NSNull() as Any, "num_bits": row.bits,
            "observer": observer ?? NSNull() as Any, "observer_kwargs": [String: Any](),
            "scale_dtype": row.scaleType ?? NSNull() as Any, "strategy": strategy.rawValue,
            "symmetric": true, "type": "float",
            "zp_dtype": isTwoLevel ? row.scaleType ?? NSNull() as Any : NSNull(),
        ]
    }
}
