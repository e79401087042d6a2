/// What ModelOpt's `quantization_config`, or `quantization` of hf_quant_config.json, says of each
/// module.
///
/// - SeeAlso: NVIDIA/Model-Optimizer, `modelopt/torch/export/quant_utils.py`,
///   `convert_hf_config.py`; vLLM, `quantization/modelopt.py`.
extension ModelOpt {
    /// What ModelOpt and TensorRT-LLM write at the root, in either file.
    static let rootKeys = KnownKeys(
        used: [
            "config_groups", "exclude_modules", "group_size", "ignore", "kv_cache_quant_algo",
            "kv_cache_scheme", "quant_algo", "quant_method", "quantized_layers",
        ],
        neutral: detailKeys.neutral.union(["producer"]),
        expected: detailKeys.expected.merging([
            "clamp_val": [], "use_meta_recipe": [.flag(false)],
        ]) { own, _ in own }
    )

    /// What is said of the whole model, of a layer or of a group.
    private static let detailKeys = KnownKeys(
        used: ["group_size", "quant_algo"],
        // Factors of columns are tensors, which are read where they are; how strongly SmoothQuant
        // moved outliers does not matter any more.
        neutral: ["pre_quant_scale", "smoothquant_val"],
        expected: ["has_zero_point": [.flag(false)], "lora_rank": []]
    )

    private static let groupKeys = KnownKeys(
        used: detailKeys.used.union(["targets", "weights", "input_activations"]),
        neutral: detailKeys.neutral,
        expected: detailKeys.expected.merging(["output_activations": []]) { own, _ in own }
    )

    private static let cacheKeys = KnownKeys(
        used: ["dynamic", "num_bits", "type"],
        neutral: ["observer", "observer_kwargs", "scale_dtype", "zp_dtype"],
        expected: ["strategy": [.text("tensor")], "symmetric": [.flag(true)]]
    )

    func read(
        _ document: QuantizationDocument,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages {
        let root = document.root
        issues.account(for: root, by: Self.rootKeys)
        ModelOptAgreement.lint(document, &issues)
        let ignored = Self.ignored(root, &issues)
        let algorithm = issues.read(root) { root throws(ModelFileError) in
            try root.text("quant_algo")
        }
        var storages = ModuleStorages()
        if algorithm == Self.mixed {
            storages.quantized = Self.layers(document, ignored, &issues)
        } else if let algorithm {
            if root["quantized_layers"] != nil {
                issues.refuse(
                    .malformed,
                    root.place,
                    "quant_algo is \(algorithm), but quantized_layers is for \(Self.mixed)"
                )
            }
            let storage = Self.storage(root, algorithm, &issues)
            for module in document.linearModules where ignored.match(module) == nil {
                storages.quantized[module] = storage
            }
        } else {
            // ModelOpt itself writes null where the cache alone is quantized.
            issues.error(root.place, "quant_algo is missing")
        }
        lintGroups(root, storages, &issues)
        if let cache = Self.cache(root, &issues) {
            storages.cacheScales = cacheScales
            storages.cacheObstacle = cache.obstacle
        }
        return storages
    }

    /// That keys and values have scales.
    private struct Cache {
        /// Why they are not those that are computed here; nil if they are.
        let obstacle: String?
    }

    /// What is said of keys and values, by either key; nil if there is nothing.
    private static func cache(
        _ root: JSONObject,
        _ issues: inout ConfigurationIssues
    ) -> Cache? {
        // Of other algorithms than FP8 the converter writes the name alone.
        var named: String?
        if case .text(let text) = root["kv_cache_scheme"] { named = text }
        let scheme =
            named == nil
            ? issues.read(root) { root throws(ModelFileError) in
                try root.object("kv_cache_scheme")
            } : nil
        issues.account(for: scheme, by: cacheKeys)
        let algorithm =
            named
            ?? issues.read(root) { root throws(ModelFileError) in
                try root.text("kv_cache_quant_algo")
            }
        guard scheme != nil || algorithm != nil else { return nil }
        if let algorithm, algorithm != "FP8" {
            return Cache(obstacle: "a key-value cache in \(algorithm) is not computed here")
        }
        guard let scheme else { return Cache(obstacle: nil) }
        let bits = issues.read(scheme) { scheme throws(ModelFileError) in
            try scheme.integer("num_bits")
        }
        let type = issues.read(scheme) { scheme throws(ModelFileError) in
            try scheme.text("type")
        }
        let isFP8 = bits == 8 && type == "float" && scheme["dynamic"] != .flag(true)
        return Cache(
            obstacle: isFP8
                ? nil
                : """
                kv_cache_scheme is \(scheme["dynamic"] == .flag(true) ? "dynamic " : "")\
                \(bits.map { "\($0)-bit" } ?? "no num_bits,") \(type ?? "no type"), not static \
                8-bit float
                """
        )
    }

    /// The key under which the modules that stay as they are stand: `ignore`, or
    /// hf_quant_config.json's name for it.
    static func ignoreKey(_ root: JSONObject) -> String {
        root["ignore"] == nil ? "exclude_modules" : "ignore"
    }

    private static func ignored(
        _ root: JSONObject,
        _ issues: inout ConfigurationIssues
    ) -> ModuleNames {
        issues.names(root, ignoreKey(root), .globs)
    }

    /// Of mixed precision: what is not named is not quantized.
    private static func layers(
        _ document: QuantizationDocument,
        _ ignored: ModuleNames,
        _ issues: inout ConfigurationIssues
    ) -> [String: ModuleStorages.Storage] {
        let root = document.root
        let named = issues.read(root) { root throws(ModelFileError) in
            try root.object("quantized_layers")
        }
        guard let named else {
            issues.refuse(
                .malformed,
                root.place,
                "quant_algo is MIXED_PRECISION, but quantized_layers is missing"
            )
            return [:]
        }
        if named.members.isEmpty { issues.error(named.place, "is empty") }
        let modules = Set(document.modules)
        var storages: [String: ModuleStorages.Storage] = [:]
        let layers = issues.read(named) { named throws(ModelFileError) in try named.objects() }
        for (module, layer) in layers ?? [] {
            guard modules.contains(module) else {
                issues.error(layer.place, "is no linear module of the model")
                continue
            }
            issues.account(for: layer, by: detailKeys)
            let algorithm = issues.read(layer) { layer throws(ModelFileError) in
                try layer.text("quant_algo")
            }
            guard let algorithm else {
                issues.refuse(.malformed, layer.place, "quant_algo is missing")
                storages[module] = .unchecked
                continue
            }
            storages[module] = storage(layer, algorithm, &issues)
            if ignored.match(module) != nil {
                issues.error(module, "is both in quantized_layers and ignored")
            }
        }
        return storages
    }

    private static func storage(
        _ root: JSONObject,
        _ algorithm: String,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages.Storage {
        guard let row = row(named: algorithm) else {
            issues.refuse(
                .unsupported,
                root.place,
                """
                quant_algo \(algorithm); read are \
                \(rows.map(\.algorithm).sorted().joined(separator: ", ")) and \(mixed)
                """
            )
            return .unchecked
        }
        let size = issues.read(root) { root throws(ModelFileError) in
            try root.integer("group_size")
        }
        if let size, row.scheme.blockSize > 1, size != row.scheme.blockSize {
            issues.refuse(
                .malformed,
                root.place,
                "group_size is \(size); \(algorithm) has \(row.scheme.blockSize)"
            )
            return .unchecked
        }
        if !row.isKnownToVLLM {
            issues.warning(root.place, "quant_algo \(algorithm) is refused by vLLM")
        }
        return .scheme(row.scheme, inputs: row.inputs)
    }

    /// `config_groups` say the same in other words; readers look at either.
    private func lintGroups(
        _ root: JSONObject,
        _ storages: ModuleStorages,
        _ issues: inout ConfigurationIssues
    ) {
        let all = issues.read(root) { root throws(ModelFileError) in
            try root.object("config_groups")
        }
        let groups = issues.read(all) { all throws(ModelFileError) in try all.objects() }
        for (_, group) in groups ?? [] {
            issues.account(for: group, by: Self.groupKeys)
            let targets = issues.names(group, "targets", .globs)
            let weights = issues.read(group) { group throws(ModelFileError) in
                try group.object("weights")
            }
            let inputs = issues.read(group) { group throws(ModelFileError) in
                try group.object("input_activations")
            }
            for arguments in [weights, inputs] {
                issues.account(for: arguments, by: CompressedTensors.Arguments.keys)
            }
            let bits = issues.read(weights) { weights throws(ModelFileError) in
                try weights.integer("num_bits")
            }
            let size = issues.read(weights) { weights throws(ModelFileError) in
                try weights.integer("group_size")
            }
            for (module, storage) in storages.quantized.sorted(by: { $0.key < $1.key }) {
                guard case .scheme(let scheme, _) = storage, targets.match(module) != nil else {
                    continue
                }
                if scheme.bitWidth != bits {
                    issues.error(
                        group.place,
                        "num_bits is \(bits ?? 0), but \(module) is \(scheme.name)"
                    )
                    break
                }
                if let size, size != scheme.blockSize {
                    issues.error(
                        group.place,
                        "group_size is \(size), but \(module) is \(scheme.name)"
                    )
                    break
                }
            }
        }
    }
}
