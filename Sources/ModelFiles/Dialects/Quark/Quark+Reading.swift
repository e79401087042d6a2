internal import Formats

/// What Quark's `quantization_config` says of each module.
///
/// - SeeAlso: vLLM, `model_executor/layers/quantization/quark/quark.py`.
extension Quark {
    private typealias Storage = ModuleStorages.Storage

    /// That keys and values have scales.
    private struct Cache {
        /// Why they are not those that are computed here; nil if they are.
        let obstacle: String?
    }

    // Every module is held against every glob.
    private static let globLimit = 256

    func read(
        _ document: QuantizationDocument,
        _ issues: inout ConfigurationIssues
    ) -> ModuleStorages {
        let root = document.root
        issues.account(for: root, by: Self.rootKeys)
        Self.checkMethods(root, &issues)
        Self.lintExport(root, &issues)
        let excluded = issues.names(root, "exclude", .globs)
        let overall = Self.object(root, "global_quant_config", &issues)
        let global = Self.storage(overall, place: root.place + ": global_quant_config", &issues)
        let kinds = Self.storages(root, "layer_type_quant_config", &issues)
        let layers = Self.storages(root, "layer_quant_config", &issues)
        Self.lintLayers(root, layers.map(\.name), document, &issues)
        let globs: [(pattern: ModulePattern, storage: Storage)] = layers.filter {
            ModuleNames.isGlob($0.name)
        }.map {
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
        Self.refuseOverlaps(globs, document, &issues)
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
        if let cache = Self.cache(root, layers.map(\.name), &issues) {
            storages.cacheScales = cacheScales
            storages.cacheObstacle = cache.obstacle
        }
        return storages
    }

    /// Of two patterns that name a module, readers take the one that stands first in the file.
    private static func refuseOverlaps(
        _ globs: [(pattern: ModulePattern, storage: Storage)],
        _ document: QuantizationDocument,
        _ issues: inout ConfigurationIssues
    ) {
        for module in document.linearModules {
            let matching = globs.filter { $0.pattern.matches(module) }
            guard let first = matching.first,
                let other = matching.first(where: { $0.storage != first.storage })
            else { continue }
            issues.refuse(
                .unsupported,
                "\(document.root.place): layer_quant_config",
                """
                \(first.pattern.text) and \(other.pattern.text) both name \(module) and say other \
                things of it; name it by one of them
                """,
                severity: .warning
            )
            return
        }
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
        issues.account(for: export, by: exportKeys)
        let method = issues.read(export) { export throws(ModelFileError) in
            try export.text("pack_method")
        }
        if let method, method != "reorder" {
            issues.warning(export.place, "pack_method is \(method); reorder is checked")
        }
    }

    /// What is said of the scales of keys and values; nil if they have none.
    ///
    /// `kv_cache_group` names the modules whose outputs they are.
    private static func cache(
        _ root: JSONObject,
        _ layers: [String],
        _ issues: inout ConfigurationIssues
    ) -> Cache? {
        let export = object(root, "export", &issues)
        guard let export else { return nil }
        let group = cacheGroup(root, &issues)
        guard !group.isEmpty else { return nil }
        let schemes = object(root, "layer_quant_config", &issues)
        let names = layers.filter { isOfCache($0, group) }
        if names.isEmpty {
            issues.error(
                export.place,
                "kv_cache_group has \(group.joined(separator: ", ")), layer_quant_config none of them"
            )
        }
        var obstacle: String?
        for name in names {
            let outputs = object(object(schemes, name, &issues), "output_tensors", &issues)
            let type = outputs.flatMap { text($0, "dtype", &issues) }
            let granularity = outputs.flatMap { text($0, "qscheme", &issues) }
            let isDynamic = outputs?["is_dynamic"] == .flag(true)
            guard type != "fp8_e4m3" || granularity != "per_tensor" || isDynamic else { continue }
            let found = """
                output_tensors is \(type ?? "missing") \(granularity ?? "")\
                \(isDynamic ? ", dynamic" : ""); a cache has fp8_e4m3 per_tensor
                """
            issues.error("\(root.place): layer_quant_config: \(name)", found)
            obstacle = obstacle ?? "\(name): \(found)"
        }
        return Cache(obstacle: obstacle)
    }

    /// The modules whose outputs are cached.
    private static func cacheGroup(
        _ root: JSONObject,
        _ issues: inout ConfigurationIssues
    ) -> [String] {
        let export = object(root, "export", &issues)
        return issues.read(export) { export throws(ModelFileError) in
            try export.texts("kv_cache_group")
        } ?? []
    }

    private static func isOfCache(_ name: String, _ group: [String]) -> Bool {
        group.contains { $0 == name || ModulePattern($0).matches(name) }
    }

    /// The schemes of an object, by name.
    private static func storages(
        _ root: JSONObject,
        _ key: String,
        _ issues: inout ConfigurationIssues
    ) -> [(name: String, storage: Storage)] {
        let named = object(root, key, &issues)
        let layers = issues.read(named) { named throws(ModelFileError) in try named.objects() }
        let group = cacheGroup(root, &issues)
        return (layers ?? []).map { name, layer in
            let hasOutputs = isOfCache(name, group)
            return (name, storage(layer, place: layer.place, hasOutputs: hasOutputs, &issues))
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

    /// How the modules of a scheme are stored and run; plain if it has no weight.
    ///
    /// `hasOutputs`: Whether what it says of outputs is said of the cache.
    private static func storage(
        _ layer: JSONObject?,
        place: String,
        hasOutputs: Bool = false,
        _ issues: inout ConfigurationIssues
    ) -> Storage {
        let count = issues.all.count
        check(scheme: layer, &issues)
        guard let weight = object(layer, "weight", &issues) else {
            return issues.all.count == count ? .plain : .unchecked
        }
        guard let row = row(weight, &issues) else { return .unchecked }
        if let layer, layer["bias"] != nil {
            issues.refuse(.unsupported, layer.place, "a quantized bias is not read")
        }
        let inputs = object(layer, "input_tensors", &issues)
        if row.groupSize != nil, inputs?["is_dynamic"] != .flag(true) {
            issues.warning(
                place,
                "input_tensors is not dynamic; vLLM refuses OCP MX weights then"
            )
        }
        if let layer, layer["output_tensors"] != nil, !hasOutputs {
            let reason = "output_tensors outside of kv_cache_group are not computed here"
            return .scheme(row.scheme, inputs: .unknown(reason))
        }
        let rounding = issues.read(inputs) { inputs throws(ModelFileError) in
            try Self.inputs(inputs)
        }
        var scheme = row.scheme
        // vLLM has MXFP4 under FP8 inputs, too, whose scale stands beside the weight.
        if case .stored = rounding, scheme.tensor(.inputFactor) == nil {
            scheme = scheme.adding([inputScale])
        }
        return .scheme(scheme, inputs: rounding ?? .plain)
    }

    /// The line of the table that a weight's scheme is; nil and a refusal if it is none.
    private static func row(
        _ weight: JSONObject,
        _ issues: inout ConfigurationIssues
    ) -> Row? {
        let type = text(weight, "dtype", &issues)
        let granularity = text(weight, "qscheme", &issues)
        let scale = text(weight, "scale_format", &issues)
        let size = issues.read(weight) { weight throws(ModelFileError) in
            try weight.integer("group_size")
        }
        if weight["symmetric"] == .flag(false) || weight["is_dynamic"] == .flag(true) {
            issues.refuse(.unsupported, weight.place, "symmetric static weights are read")
            return nil
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
                scales; read are \(readable)
                """
            )
            return nil
        }
        return row
    }

    /// What weights may be, from the table.
    private static var readable: String {
        rows.map { row in
            "\(row.type) \(row.granularity)"
                + (row.groupSize.map { " of \($0) with \(row.scaleFormat ?? "float") scales" } ?? "")
        }.joined(separator: ", ")
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
