internal import Formats
internal import Transformer

/// What compressed-tensors' `quantization_config` says of each module.
///
/// - SeeAlso: vllm-project/compressed-tensors, `quantization/quant_config.py`, `quant_args.py`,
///   `utils/match.py`.
extension CompressedTensors {
    /// A config group: what it targets, and how that is stored and run.
    private struct Group {
        let name: String
        let place: String
        /// Targets in the order in which the package tries them: by text, names first.
        let targets: [(text: String, names: ModuleNames)]
        let storage: ModuleStorages.Storage
    }

    // Every module is held against every group.
    private static let groupLimit = 256

    /// What the package and Transformers write at the root.
    private static let rootKeys = KnownKeys(
        used: [
            "config_groups", "format", "ignore", "kv_cache_scheme", "quant_method",
            "quantization_status", "sparsity_config", "transform_config",
        ],
        // Who wrote it, how much smaller it is, and how Transformers is to hold it.
        neutral: [
            "dequantize", "global_compression_ratio", "run_compressed",
            "use_optimized_inference", "version",
        ],
        expected: ["moe_sparsity_config": [.object([:])]]
    )

    func read(
        _ document: QuantizationDocument,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages {
        let root = document.root
        issues.account(for: root, by: Self.rootKeys)
        Self.refuseTransforms(root, &issues)
        let status = issues.read(root) { root throws(ModelFileError) in
            try root.text("quantization_status")
        }
        if let status, status != "compressed" {
            issues.error(root.place, "quantization_status is \(status), not compressed")
        }
        let ignored = issues.names(root, "ignore", .expressions)
        let groups = Self.groups(root, &issues)
        Self.lintIgnored(document, &issues)
        var storages = ModuleStorages()
        for module in document.modules where ignored.match(module) == nil {
            guard let group = Self.group(of: module, groups, &issues), group.storage != .plain
            else { continue }
            storages.quantized[module] = group.storage
        }
        if let cache = Self.arguments(root, "kv_cache_scheme", &issues) {
            storages.cacheScales = cacheScales
            let isFP8 =
                cache.bits == 8 && cache.element == .float && cache.isSymmetric
                && cache.strategy == .tensor && cache.dynamic == .none
            if !isFP8 {
                storages.cacheObstacle =
                    "kv_cache_scheme is \(cache.description), which is not computed here"
            }
        }
        return storages
    }

    private static func groups(
        _ root: JSONObject,
        _ issues: inout ConfigurationIssues
    ) -> [Group] {
        let overall = issues.read(root) { root throws(ModelFileError) in try root.text("format") }
        let all = issues.read(root) { root throws(ModelFileError) in
            try root.object("config_groups")
        }
        let named = issues.read(all) { all throws(ModelFileError) in try all.objects() } ?? []
        if all?.members.isEmpty ?? true {
            issues.error(root.place, "config_groups is missing or empty")
        }
        guard named.count <= groupLimit else {
            issues.refuse(.unsupported, root.place, "more groups than \(groupLimit)")
            return []
        }
        var groups: [Group] = []
        var formats: Set<String> = []
        for (name, group) in named {
            let own = issues.read(group) { group throws(ModelFileError) in
                try group.text("format")
            }
            let format = own ?? (overall == "mixed-precision" ? nil : overall)
            if let format { formats.insert(format) }
            groups.append(
                Group(
                    name: name,
                    place: group.place,
                    targets: targets(group, &issues),
                    storage: storage(group, format: format, &issues)
                )
            )
        }
        refuseSharedTargets(groups, &issues)
        let expected = formats.count == 1 ? formats.first : "mixed-precision"
        if !formats.isEmpty, overall != expected {
            issues.error(
                root.place,
                "format is \(overall ?? "missing"); the groups' formats make it \(expected ?? "")"
            )
        }
        return groups
    }

    private static func targets(
        _ group: JSONObject,
        _ issues: inout ConfigurationIssues
    ) -> [(text: String, names: ModuleNames)] {
        // One list, for its limits; then each by itself, for its place among the others.
        _ = issues.names(group, "targets", .expressions)
        let texts = issues.read(group) { group throws(ModelFileError) in
            try group.texts("targets")
        }
        if texts?.isEmpty ?? true { issues.error(group.place, "targets is missing or empty") }
        return (texts ?? []).sorted {
            ($0.contains("re:") ? 1 : 0, $0) < ($1.contains("re:") ? 1 : 0, $1)
        }
        .map { ($0, ModuleNames([$0], .expressions)) }
    }

    /// A text that two groups have: the package takes the one that stands last in the file.
    private static func refuseSharedTargets(
        _ groups: [Group],
        _ issues: inout ConfigurationIssues
    ) {
        var owners: [String: Group] = [:]
        for group in groups {
            for (text, _) in group.targets {
                guard let other = owners.updateValue(group, forKey: text),
                    other.storage != group.storage
                else { continue }
                issues.refuse(
                    .unsupported,
                    group.place,
                    "\(text) is a target of \(other.name), too: say it in one of them",
                    severity: .error
                )
            }
        }
    }

    /// The group that says all of a module: the one whose target names it most closely; of equally
    /// close ones the package takes the first by text.
    private static func group(
        of module: String,
        _ groups: [Group],
        _ issues: inout ConfigurationIssues
    ) -> Group? {
        var best: (match: ModuleNames.Match, text: String, group: Group)?
        var rivals: [Group] = []
        for group in groups {
            guard
                let (match, text) = group.targets.lazy
                    .compactMap({ target in
                        target.names.match(module).map { ($0, target.text) }
                    }).max(by: { ($0.0.rawValue, $1.1) < ($1.0.rawValue, $0.1) })
            else { continue }
            if match != .kind { rivals.append(group) }
            if let best, (best.match.rawValue, text) >= (match.rawValue, best.text) { continue }
            best = (match, text, group)
        }
        guard let best else { return nil }
        // Names go before the class's name, everywhere; of names, others take the first in the file.
        if let rival = rivals.first(where: { $0.storage != best.group.storage }) {
            issues.error(
                module,
                """
                is a target of \(best.group.name) and \(rival.name); readers take one of them
                """
            )
        }
        return best.group
    }

    private static func lintIgnored(
        _ document: QuantizationDocument,
        _ issues: inout ConfigurationIssues
    ) {
        let others = [ParameterLayout.headModule, ParameterLayout.embeddingModule, "Linear"]
        let entries = (try? document.root.texts("ignore")) ?? []
        for entry in entries where !entry.hasPrefix("re:") && !others.contains(entry) {
            if !document.linearModules.contains(entry) {
                issues.warning(
                    document.root.place + ": ignore",
                    "\(entry) is no linear module of the model"
                )
            }
        }
    }

    /// Rotations and sparsity change what the weights mean.
    private static func refuseTransforms(
        _ root: JSONObject,
        _ issues: inout ConfigurationIssues
    ) {
        let sparsity = issues.read(root) { root throws(ModelFileError) in
            try root.object("sparsity_config")
        }
        let form = issues.read(sparsity) { sparsity throws(ModelFileError) in
            try sparsity.text("format")
        }
        if let sparsity, !sparsity.members.isEmpty, form != "dense" {
            issues.refuse(
                .unsupported,
                root.place,
                "sparsity \(form ?? "of no format") is not read"
            )
        }
        let transforms = issues.read(root) { root throws(ModelFileError) in
            try root.object("transform_config")
        }
        issues.account(for: transforms, by: KnownKeys(used: ["config_groups"]))
        let groups = issues.read(transforms) { transforms throws(ModelFileError) in
            try transforms.object("config_groups")
        }
        if groups?.members.isEmpty == false {
            issues.refuse(.unsupported, root.place, "transform_config is not read")
        }
    }
}
