internal import Foundation

/// compressed-tensors' `quantization_config`.
///
/// - SeeAlso: vllm-project/compressed-tensors, `quantization/quant_config.py`, `utils/match.py`.
struct CompressedTensorsSchemes {
    private static let place = "config.json: quantization_config"

    /// A config group: what it targets, and how that is stored.
    private struct Group {
        let name: String
        let targets: ModuleList
        let storage: SchemeTable.Storage
    }

    private let groups: [Group]
    private let ignored: ModuleList
    private let ignore: [String]

    init(_ quantization: [String: Any], _ log: inout LintLog) {
        ignore = quantization["ignore"] as? [String] ?? []
        ignored = ModuleList(ignore, hasWildcards: false)
        let format = quantization["format"] as? String
        if let status = quantization["quantization_status"] as? String, status != "compressed" {
            log.error(Self.place, "quantization_status is \(status), not compressed")
        }
        let all = quantization["config_groups"] as? [String: Any] ?? [:]
        if all.isEmpty { log.error(Self.place, "config_groups is missing or empty") }
        var groups: [Group] = []
        var formats: Set<String> = []
        for (name, value) in all.sorted(by: { $0.key < $1.key }) {
            let place = "\(Self.place).config_groups.\(name)"
            guard let group = value as? [String: Any] else {
                log.error(place, "is not an object")
                continue
            }
            let targets = group["targets"] as? [String] ?? []
            if targets.isEmpty { log.error(place, "targets is missing or empty") }
            let list = ModuleList(targets, hasWildcards: false)
            for text in list.invalid {
                log.error(place, "target \(text) is no regular expression")
            }
            let own = group["format"] as? String ?? (format == "mixed-precision" ? nil : format)
            if let own { formats.insert(own) }
            let storage = Self.storage(group, format: own, place: place, &log)
            groups.append(Group(name: name, targets: list, storage: storage))
        }
        self.groups = groups
        for text in ignored.invalid {
            log.error("\(Self.place).ignore", "\(text) is no regular expression")
        }
        let expected = formats.count == 1 ? formats.first : "mixed-precision"
        if !formats.isEmpty, format != expected {
            log.error(
                Self.place,
                "format is \(format ?? "missing"); the groups' formats make it \(expected ?? "")"
            )
        }
    }

    func storages(
        of modules: [String],
        _ log: inout LintLog
    ) -> [String: SchemeTable.Storage] {
        let others = ["lm_head", "model.embed_tokens", "Linear"]
        for entry in ignore where !entry.hasPrefix("re:") && !others.contains(entry) {
            if !modules.contains(entry) {
                log.warning("\(Self.place).ignore", "\(entry) is no linear module of the model")
            }
        }
        var storages: [String: SchemeTable.Storage] = [:]
        for module in modules where !ignored.matches(module) && !ignored.contains("Linear") {
            // Names go before the class's name.
            let named = groups.filter { $0.targets.matches(module) }
            let found = named.isEmpty ? groups.filter { $0.targets.contains("Linear") } : named
            if found.count > 1 {
                let names = found.map(\.name).joined(separator: " and ")
                log.error(module, "is a target of \(names); readers take one of them")
            }
            storages[module] = found.first?.storage
        }
        return storages
    }

    /// How a group's modules are stored, from its weights' arguments; its format must agree.
    private static func storage(
        _ group: [String: Any],
        format: String?,
        place: String,
        _ log: inout LintLog
    ) -> SchemeTable.Storage {
        guard let weights = group["weights"] as? [String: Any] else {
            log.error(place, "weights is missing")
            return .unchecked
        }
        let inputs = group["input_activations"] as? [String: Any]
        guard let scheme = scheme(weights, inputs: inputs) else {
            let parts = ["num_bits", "type", "strategy", "group_size"].map {
                "\($0) \(weights[$0].map { "\($0)" } ?? "missing")"
            }
            let arguments = "weights of \(parts.joined(separator: ", "))"
            // A name that is known says what the arguments ought to be.
            if let format, Self.knownFormats.contains(format) {
                log.error(place, "format \(format) does not have \(arguments)")
            } else {
                log.warning(place, "\(arguments) are not checked")
            }
            return .unchecked
        }
        if format != scheme.name {
            let what = format.map { "is \($0)" } ?? "is missing"
            log.error(place, "format \(what); its weights' arguments make it \(scheme.name)")
        }
        return .scheme(scheme)
    }

    private static let knownFormats = [
        "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized",
    ]

    private static func scheme(
        _ weights: [String: Any],
        inputs: [String: Any]?
    ) -> StorageScheme? {
        guard weights["type"] as? String == "float", weights["symmetric"] as? Bool != false else {
            return nil
        }
        // Scales of inputs are stored unless they are found as the server runs.
        let isStatic = inputs.map { $0["dynamic"] as? Bool != true } ?? false
        let bits = weights["num_bits"] as? Int
        let strategy = weights["strategy"] as? String
        switch (bits, strategy, weights["group_size"] as? Int) {
        case (4, "tensor_group", 16): return .dividedNVFP4(hasInputScale: isStatic)
        case (4, "group", 32): return .mxfp4("mxfp4-pack-quantized", codes: ".weight_packed")
        case (8, "group", 32): return .mxfp8("mxfp8-quantized")
        case (8, "tensor", _), (8, "channel", _):
            return .fp8(
                "float-quantized",
                scales: strategy == "tensor" ? .one : .column,
                inputs: isStatic ? .one : nil
            )
        default: return nil
        }
    }
}
