internal import Foundation

/// ModelOpt's `quantization_config`, and hf_quant_config.json's `quantization`.
///
/// - SeeAlso: NVIDIA/Model-Optimizer, `modelopt/torch/export/convert_hf_config.py`.
struct ModelOptSchemes {
    private static let place = "config.json: quantization_config"

    private let quantization: [String: Any]

    init(_ quantization: [String: Any]) {
        self.quantization = quantization
    }

    func storages(
        of modules: [String],
        _ log: inout LintLog
    ) -> [String: SchemeTable.Storage] {
        let ignored = ModuleList(Self.ignored(quantization), hasWildcards: true)
        let algorithm = quantization["quant_algo"] as? String ?? "missing"
        var storages: [String: SchemeTable.Storage] = [:]
        if algorithm == "MIXED_PRECISION" {
            let layers = quantization["quantized_layers"] as? [String: Any] ?? [:]
            if layers.isEmpty {
                log.error(Self.place, "quantized_layers is missing; MIXED_PRECISION needs it")
            }
            for (module, value) in layers.sorted(by: { $0.key < $1.key }) {
                let place = "\(Self.place).quantized_layers.\(module)"
                guard modules.contains(module) else {
                    log.error(place, "is no linear module of the model")
                    continue
                }
                let layer = value as? [String: Any] ?? [:]
                let name = layer["quant_algo"] as? String ?? "missing"
                storages[module] = Self.storage(name, place: place, &log)
                Self.lint(groupSize: layer["group_size"], storages[module], place: place, &log)
                if ignored.matches(module) {
                    log.error(module, "is both in quantized_layers and ignored")
                }
            }
        } else {
            let storage = Self.storage(algorithm, place: Self.place, &log)
            Self.lint(groupSize: quantization["group_size"], storage, place: Self.place, &log)
            for module in modules where !ignored.matches(module) { storages[module] = storage }
        }
        lintGroups(storages, &log)
        return storages
    }

    /// The modules that stay as they are: `ignore`, or hf_quant_config.json's name for it.
    static func ignored(_ quantization: [String: Any]) -> [String] {
        (quantization["ignore"] ?? quantization["exclude_modules"]) as? [String] ?? []
    }

    /// `config_groups` say the same in other words; readers look at either.
    private func lintGroups(
        _ storages: [String: SchemeTable.Storage],
        _ log: inout LintLog
    ) {
        guard let groups = quantization["config_groups"] as? [String: Any] else { return }
        for (name, value) in groups.sorted(by: { $0.key < $1.key }) {
            let place = "\(Self.place).config_groups.\(name)"
            let group = value as? [String: Any] ?? [:]
            let weights = group["weights"] as? [String: Any] ?? [:]
            let targets = ModuleList(group["targets"] as? [String] ?? [], hasWildcards: true)
            for (module, storage) in storages.sorted(by: { $0.key < $1.key }) {
                guard case .scheme(let scheme) = storage,
                    targets.matches(module) || targets.contains("Linear")
                else { continue }
                let bits = weights["num_bits"] as? Int ?? 0
                if scheme.weightBits != bits {
                    log.error(place, "num_bits is \(bits), but \(module) is \(scheme.name)")
                    break
                }
                if let size = weights["group_size"] as? Int, size != scheme.blockSize {
                    log.error(place, "group_size is \(size), but \(module) is \(scheme.name)")
                    break
                }
            }
        }
    }

    private static func lint(
        groupSize: Any?,
        _ storage: SchemeTable.Storage?,
        place: String,
        _ log: inout LintLog
    ) {
        guard let size = groupSize as? Int, case .scheme(let scheme) = storage else { return }
        if scheme.blockSize > 1, size != scheme.blockSize {
            log.error(place, "group_size is \(size); \(scheme.name) has \(scheme.blockSize)")
        }
    }

    private static func storage(
        _ algorithm: String,
        place: String,
        _ log: inout LintLog
    ) -> SchemeTable.Storage {
        switch algorithm {
        case "NVFP4": return .scheme(.multipliedNVFP4(hasInputScale: true))
        case "W4A16_NVFP4": return .scheme(.multipliedNVFP4(hasInputScale: false))
        case "FP8": return .scheme(.fp8(algorithm, scales: .scalar, inputs: .scalar))
        case "FP8_PER_CHANNEL_PER_TOKEN":
            return .scheme(.fp8(algorithm, scales: .rows, inputs: nil))
        case "MXFP8": return .scheme(.mxfp8(algorithm))
        case "W4A8_MXFP4_FP8":
            log.warning(place, "quant_algo W4A8_MXFP4_FP8 is refused by vLLM")
            return .scheme(.mxfp4(algorithm, codes: ".weight"))
        case "missing":
            log.error(place, "quant_algo is missing")
            return .unchecked
        default:
            log.warning(place, "quant_algo \(algorithm) is not checked")
            return .unchecked
        }
    }
}

extension StorageScheme {
    /// Bits of an element.
    var weightBits: Int {
        if case .packed(let bits) = tensors.first?.shape { return bits }
        return 0
    }
}
