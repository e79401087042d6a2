internal import Formats
internal import Foundation
internal import Quantization
internal import Transformer

/// How each linear layer is stored, by what the configuration says.
struct SchemeTable {
    /// What is known of a module.
    enum Storage: Equatable {
        /// A float weight.
        case plain
        /// Quantized.
        case scheme(StorageScheme)
        /// Quantized in a way that is not checked; the log says so.
        case unchecked
    }

    /// The names of the scales of a layer's keys and values, if there are such.
    let cacheScales: (key: String, value: String)?
    private let storages: [String: Storage]

    /// Reads `quantization_config`, or, in older ModelOpt folders, hf_quant_config.json.
    init(_ folder: CheckpointFolder, _ log: inout LintLog) {
        let modules = Self.linearModules(folder.model)
        let modelOpt = folder.modelOpt?["quantization"] as? [String: Any]
        guard let quantization = folder.quantization ?? modelOpt else {
            cacheScales = nil
            storages = [:]
            return
        }
        let place = "config.json: quantization_config"
        var method = quantization["quant_method"] as? String
        if folder.quantization == nil {
            log.warning(place, "is missing; few servers read hf_quant_config.json alone")
            method = "modelopt"
        }
        Self.lintTypes(quantization, place: place, &log)
        switch method {
        case "compressed-tensors":
            let parser = CompressedTensorsSchemes(quantization, &log)
            storages = parser.storages(of: modules, &log)
            cacheScales = Self.hasCacheScheme(quantization) ? ("k_scale", "v_scale") : nil
        case "modelopt":
            storages = ModelOptSchemes(quantization).storages(of: modules, &log)
            let isCached =
                Self.hasCacheScheme(quantization) || quantization["kv_cache_quant_algo"] is String
            cacheScales = isCached ? ("k_proj.k_scale", "v_proj.v_scale") : nil
            ModelOptAgreement(folder).lint(&log)
        case "quark":
            storages = QuarkSchemes(quantization).storages(of: modules, &log)
            cacheScales = nil
        default:
            log.error(
                place,
                """
                quant_method is \(method.map { "\"\($0)\"" } ?? "missing"); compressed-tensors, \
                modelopt and quark are checked
                """
            )
            storages = Dictionary(uniqueKeysWithValues: modules.map { ($0, .unchecked) })
            cacheScales = nil
        }
    }

    /// How a parameter's module is stored.
    subscript(module: String) -> Storage { storages[module] ?? .plain }

    /// The modules of class `Linear` that have weights of their own.
    private static func linearModules(_ model: ModelConfiguration) -> [String] {
        let layers = (0..<model.layerCount).flatMap { layer in
            LinearModule.allCases.map { $0.name(layer: layer) }
        }
        return layers + (model.tiedEmbeddings ? [] : ["lm_head"])
    }

    /// Readers refuse keys of other types; here they would pass for missing ones.
    private static func lintTypes(
        _ quantization: [String: Any],
        place: String,
        _ log: inout LintLog
    ) {
        for key in ["ignore", "exclude", "exclude_modules"] {
            guard let value = quantization[key], !(value is NSNull) else { continue }
            if !(value is [String]) {
                log.error("\(place).\(key)", "is not an array of module names")
            }
        }
        let objects = [
            "config_groups", "kv_cache_scheme", "quantized_layers", "layer_quant_config",
        ]
        for key in objects {
            guard let value = quantization[key], !(value is NSNull) else { continue }
            if !(value is [String: Any]) { log.error("\(place).\(key)", "is not an object") }
        }
    }

    private static func hasCacheScheme(_ quantization: [String: Any]) -> Bool {
        quantization["kv_cache_scheme"] is [String: Any]
    }
}

/// Patterns over module names as a configuration lists them.
struct ModuleList {
    private let names: Set<String>
    private let patterns: [ModulePattern]
    private let expressions: [ModuleExpression]
    /// Entries that are no regular expression.
    let invalid: [String]

    /// `re:` begins a regular expression that need match the beginning only, as in Python's `match`;
    /// `*` and `?` are wildcards if `hasWildcards`.
    init(_ list: [String], hasWildcards: Bool) {
        var invalid: [String] = []
        var expressions: [ModuleExpression] = []
        for text in list where text.hasPrefix("re:") {
            if let expression = ModuleExpression(String(text.dropFirst(3))) {
                expressions.append(expression)
            } else {
                invalid.append(text)
            }
        }
        let others = list.filter { !$0.hasPrefix("re:") }
        names = Set(others)
        let globs = others.filter { $0.contains { $0 == "*" || $0 == "?" } }
        patterns = hasWildcards ? globs.map { ModulePattern($0) } : []
        self.expressions = expressions
        self.invalid = invalid
    }

    /// Whether the list has a class name.
    func contains(_ name: String) -> Bool { names.contains(name) }

    func matches(_ module: String) -> Bool {
        names.contains(module) || patterns.contains { $0.matches(module) }
            || expressions.contains { $0.matches(module) }
    }
}
