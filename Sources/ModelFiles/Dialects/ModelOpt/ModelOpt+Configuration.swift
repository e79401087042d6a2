internal import Foundation
internal import Formats
internal import Transformer

/// What ModelOpt's `quantization_config` and hf_quant_config.json say of a model.
extension ModelOpt {
    private static let producer = ["name": "modelopt", "version": "0.43.0"]

    func configuration(_ contents: ExportContents) -> [String: Any] {
        let quantized = Self.quantized(contents)
        var configuration: [String: Any] = [
            "ignore": contents.ignoredModules, "producer": Self.producer,
            "quant_method": name, "quant_algo": Self.algorithm(quantized),
        ]
        let groups = Self.groups(quantized)
        if !groups.isEmpty { configuration["config_groups"] = groups }
        if let layers = Self.layers(quantized) { configuration["quantized_layers"] = layers }
        if !contents.keyAmax.isEmpty {
            configuration["kv_cache_scheme"] =
                ["dynamic": false, "num_bits": 8, "type": "float"] as [String: Any]
        }
        return configuration
    }

    func files(_ contents: ExportContents) -> [String: [String: Any]] {
        let quantized = Self.quantized(contents)
        var quantization: [String: Any] = [
            "quant_algo": Self.algorithm(quantized),
            "exclude_modules": contents.ignoredModules,
            "kv_cache_quant_algo": contents.keyAmax.isEmpty ? NSNull() : "FP8" as Any,
        ]
        if let layers = Self.layers(quantized) {
            quantization["quantized_layers"] = layers
        } else if let row = quantized.first?.row, row.scheme.blockSize > 1 {
            quantization["group_size"] = row.scheme.blockSize
        }
        let root: [String: Any] = ["producer": Self.producer, "quantization": quantization]
        return ["hf_quant_config.json": root]
    }

    /// The quantized modules with their lines of the table, by name.
    private static func quantized(
        _ contents: ExportContents
    ) -> [(module: String, row: Row)] {
        contents.quantizedModules.compactMap { module, format in
            row(of: format, in: contents).map { (module.name, $0) }
        }
    }

    /// `quant_algo` of all together.
    private static func algorithm(_ quantized: [(module: String, row: Row)]) -> String {
        let algorithms = Set(quantized.map(\.row.algorithm))
        return algorithms.count == 1 ? algorithms.first ?? "" : mixed
    }

    /// Formats by layer, where they differ.
    private static func layers(_ quantized: [(module: String, row: Row)]) -> [String: Any]? {
        guard algorithm(quantized) == mixed else { return nil }
        var layers: [String: Any] = [:]
        for (module, row) in quantized {
            var layer: [String: Any] = ["quant_algo": row.algorithm]
            if row.scheme.blockSize > 1 { layer["group_size"] = row.scheme.blockSize }
            layers[module] = layer
        }
        return layers
    }

    /// `config_groups`, which the converter writes for FP8, NVFP4 and mixtures.
    private static func groups(_ quantized: [(module: String, row: Row)]) -> [String: Any] {
        let overall = algorithm(quantized)
        guard overall == mixed || row(named: overall)?.hasGroups ?? false else { return [:] }
        var groups: [String: Any] = [:]
        let byAlgorithm = Dictionary(grouping: quantized, by: \.row.algorithm)
        for (_, modules) in byAlgorithm.sorted(by: { $0.key < $1.key }) {
            guard let row = modules.first?.row else { continue }
            var weights: [String: Any] = [
                "dynamic": false, "num_bits": row.scheme.bitWidth, "type": "float",
            ]
            if row.scheme.blockSize > 1 { weights["group_size"] = row.scheme.blockSize }
            let targets = byAlgorithm.count == 1 ? ["Linear"] : modules.map(\.module)
            var group: [String: Any] = ["weights": weights, "targets": targets]
            if row.inputs != .plain { group["input_activations"] = weights }
            groups["group_\(groups.count)"] = group
        }
        return groups
    }
}
