internal import Foundation

/// Checks that hf_quant_config.json says what config.json says; readers look at either.
struct ModelOptAgreement {
    private static let file = "hf_quant_config.json"

    private let folder: CheckpointFolder

    init(_ folder: CheckpointFolder) {
        self.folder = folder
    }

    func lint(_ log: inout LintLog) {
        guard let quantization = folder.quantization else { return }
        guard let root = folder.modelOpt else {
            log.warning(Self.file, "is missing; TensorRT-LLM reads it rather than config.json")
            return
        }
        guard let other = root["quantization"] as? [String: Any] else {
            log.error(Self.file, "quantization is missing")
            return
        }
        let algorithm = quantization["quant_algo"] as? String ?? "missing"
        let named = other["quant_algo"] as? String ?? "missing"
        if algorithm != named {
            log.error(Self.file, "quant_algo is \(named), in config.json \(algorithm)")
        }
        let ignored = Set(ModelOptSchemes.ignored(quantization))
        let excluded = Set(ModelOptSchemes.ignored(other))
        for module in ignored.symmetricDifference(excluded).sorted() {
            let file = excluded.contains(module) ? "exclude_modules alone" : "config.json alone"
            log.error(Self.file, "\(module) is left out by \(file)")
        }
        let hasScheme = quantization["kv_cache_scheme"] is [String: Any]
        let cache = other["kv_cache_quant_algo"] as? String
        if hasScheme != (cache != nil) {
            log.error(
                Self.file,
                """
                kv_cache_quant_algo is \(cache ?? "null"), kv_cache_scheme in config.json is \
                \(hasScheme ? "there" : "not")
                """
            )
        }
        lintLayers(quantization, other, &log)
        if let size = other["group_size"] as? Int, let expected = Self.blockSize(algorithm),
            size != expected
        {
            log.error(Self.file, "group_size is \(size); \(algorithm) has \(expected)")
        }
    }

    private func lintLayers(
        _ quantization: [String: Any],
        _ other: [String: Any],
        _ log: inout LintLog
    ) {
        func algorithms(_ root: [String: Any]) -> [String: String] {
            (root["quantized_layers"] as? [String: Any] ?? [:]).mapValues {
                ($0 as? [String: Any])?["quant_algo"] as? String ?? "missing"
            }
        }
        let ours = algorithms(quantization)
        let theirs = algorithms(other)
        for layer in Set(ours.keys).union(theirs.keys).sorted() where ours[layer] != theirs[layer] {
            log.error(
                Self.file,
                """
                quantized_layers.\(layer) is \(theirs[layer] ?? "missing"), in config.json \
                \(ours[layer] ?? "missing")
                """
            )
        }
    }

    private static func blockSize(_ algorithm: String) -> Int? {
        switch algorithm {
        case "NVFP4", "W4A16_NVFP4": 16
        case "MXFP8": 32
        default: nil
        }
    }
}
