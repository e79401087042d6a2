internal import Formats

/// What Quark's `quantization_config` says of each module.
///
/// - SeeAlso: vLLM, `model_executor/layers/quantization/quark/quark.py`.
extension Quark {
    private typealias Storage = ModuleStorages.Storage

    // Every module is held against every glob.
    private static let globLimit = 256

    func read(
        _ document: QuantizationDocument,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages {
        let root = document.root
        Self.lintExport(root, &issues)
        let excluded = issues.names(root, "exclude", .globs)
        let overall = Self.object(root, "global_quant_config", &issues)
        let global = Self.storage(overall, place: root.place + ": global_quant_config", &issues)
        let kinds = Self.storages(root, "layer_type_quant_config", &issues)
        let layers = Self.storages(root, "layer_quant_config", &issues)
        Self.lintLayers(root, layers.map(\.name), document, &issues)
        let globs = layers.filter { ModuleNames.isGlob($0.name) }.map {
            (pattern: ModulePattern($0.name), storage: $0.storage)
        }
        if globs.count > Self.globLimit {
            issues.refuse(
                .unsupported,
                root.place,
                """
                layer_quant_config has \(globs.count) globs, more than the limit of \
                \(Self.globLimit)
                """
            )
            return ModuleStorages()
        }
        // Pairs, as a name may stand for a scheme of no weight.
        let exact = Dictionary(
            uniqueKeysWithValues: layers.filter { !ModuleNames.isGlob($0.name) }
        )
        let linear = kinds.first { $0.name == "Linear" }?.storage
        var storages = ModuleStorages()
        for module in document.linearModules where excluded.match(module) == nil {
            // By name, else by pattern, else of its class, else of all.
            let storage =
                exact[module] ?? globs.first { $0.pattern.matches(module) }?.storage ?? linear
                ?? global
            storages.quantized[module] = storage
            if storage == .plain {
                issues.error(
                    module,
                    "has no weight scheme and is not excluded; vLLM refuses such a layer"
                )
            }
        }
        storages.cacheScales =
            Self.hasCache(root, layers.map(\.name), &issues) ? cacheScales : nil
        return storages
    }

    private static func object(
        _ root: JSONObject?,
        _ key: String,
        _ issues: inout ConfigurationIssues
    ) -> JSONObject? {
        issues.read(root) { root throws(ModelFileError) in try root.object(key) }
    }

    private static func lintExport(_ root: JSONObject, _ issues: inout ConfigurationIssues) {
        guard let export = object(root, "export", &issues) else {
            issues.error(root.place, "export is missing; vLLM refuses such a configuration")
            return
        }
        let method = issues.read(export) { export throws(ModelFileError) in
            try export.text("pack_method")
        }
        if let method, method != "reorder" {
            issues.warning(export.place, "pack_method is \(method); reorder is checked")
        }
    }

    /// Whether keys and values have scales: `kv_cache_group` names the modules whose outputs they are.
    private static func hasCache(
        _ root: JSONObject,
        _ layers: [String],
        _ issues: inout ConfigurationIssues
    ) -> Bool {
        let export = object(root, "export", &issues)
        let group = issues.read(export) { export throws(ModelFileError) in
            try export.texts("kv_cache_group")
        }
        guard let export, let group, !group.isEmpty else { return false }
        let schemes = object(root, "layer_quant_config", &issues)
        let names = layers.filter { name in
            group.contains { $0 == name || ModulePattern($0).matches(name) }
        }
        if names.isEmpty {
            issues.error(
                export.place,
                "kv_cache_group has \(group.joined(separator: ", ")), layer_quant_config none of them"
            )
        }
        for name in names {
            let outputs = object(object(schemes, name, &issues), "output_tensors", &issues)
            let type = outputs.flatMap { text($0, "dtype", &issues) }
            let granularity = outputs.flatMap { text($0, "qscheme", &issues) }
            if type != "fp8_e4m3" || granularity != "per_tensor" {
                issues.error(
                    "\(root.place): layer_quant_config: \(name)",
                    """
                    output_tensors is \(type ?? "missing") \(granularity ?? ""); a cache has \
                    fp8_e4m3 per_tensor
                    """
                )
            }
        }
        return true
    }

    /// The schemes of an object, by name.
    private static func storages(
        _ root: JSONObject,
        _ key: String,
        _ issues: inout ConfigurationIssues
    ) -> [(name: String, storage: Storage)] {
        let named = object(root, key, &issues)
        let layers = issues.read(named) { named throws(ModelFileError) in try named.objects() }
        return (layers ?? []).map { name, layer in
            (name, storage(layer, place: layer.place, &issues))
        }
    }

    private static func lintLayers(
        _ root: JSONObject,
        _ names: [String],
        _ document: QuantizationDocument,
        _ issues: inout ConfigurationIssues
    ) {
        for name in names {
            let pattern = ModulePattern(name)
            let isUsed = document.linearModules.contains {
                $0 == name || ModuleNames.isGlob(name) && pattern.matches($0)
            }
            if !isUsed {
                issues.error(
                    "\(root.place): layer_quant_config: \(name)",
                    "names no linear module of the model"
                )
            }
        }
    }

    /// How the modules of a scheme are stored; plain if it has no weight.
    private static func storage(
        _ layer: JSONObject?,
        place: String,
        _ issues: inout ConfigurationIssues
    ) -> Storage {
        let count = issues.all.count
        guard let weight = object(layer, "weight", &issues) else {
            return issues.all.count == count ? .plain : .unchecked
        }
        let type = text(weight, "dtype", &issues)
        let granularity = text(weight, "qscheme", &issues)
        let scale = text(weight, "scale_format", &issues)
        let size = issues.read(weight) { weight throws(ModelFileError) in
            try weight.integer("group_size")
        }
        let ofType = rows.filter { $0.type == type && $0.granularity == granularity }
        guard let row = ofType.first(where: { $0.groupSize == nil || isMX(size, scale, $0) })
        else {
            // A type that is known by groups, in groups that OCP MX does not have.
            issues.refuse(
                ofType.isEmpty ? .unsupported : .malformed,
                weight.place,
                """
                \(type ?? "no dtype") \(granularity ?? "?") of \(size ?? 0) with \(scale ?? "no") \
                scales; read are fp4, fp6_e2m3 and fp6_e3m2 per_group of 32 with e8m0, fp8_e4m3 \
                per_tensor and per_channel
                """
            )
            return .unchecked
        }
        let inputs = object(layer, "input_tensors", &issues)
        if row.groupSize != nil, inputs?["is_dynamic"] != .flag(true) {
            issues.warning(
                place,
                "input_tensors is not dynamic; vLLM refuses OCP MX weights then"
            )
        }
        return .scheme(row.scheme)
    }

    private static func isMX(_ size: Int?, _ scale: String?, _ row: Row) -> Bool {
        size == row.groupSize && scale == row.scaleFormat
    }

    private static func text(
        _ object: JSONObject,
        _ key: String,
        _ issues: inout ConfigurationIssues
    ) -> String? {
        issues.read(object) { object throws(ModelFileError) in try object.text(key) }
    }
}
