internal import Foundation

/// AMD Quark's `quantization_config`.
///
/// - SeeAlso: vLLM, `quantization/quark/quark.py`, `schemes/quark_ocp_mx.py`.
struct QuarkSchemes {
    private static let place = "config.json: quantization_config"

    private let quantization: [String: Any]

    init(_ quantization: [String: Any]) {
        self.quantization = quantization
    }

    func storages(
        of modules: [String],
        _ log: inout LintLog
    ) -> [String: SchemeTable.Storage] {
        guard let export = quantization["export"] as? [String: Any] else {
            log.error(Self.place, "export is missing; vLLM refuses such a configuration")
            return Dictionary(uniqueKeysWithValues: modules.map { ($0, .unchecked) })
        }
        if let method = export["pack_method"] as? String, method != "reorder" {
            log.warning("\(Self.place).export", "pack_method is \(method); reorder is checked")
        }
        let exclude = quantization["exclude"] as? [String] ?? []
        let excluded = ModuleList(exclude, hasWildcards: true)
        for text in excluded.invalid {
            log.error("\(Self.place).exclude", "\(text) is no regular expression")
        }
        let layers = quantization["layer_quant_config"] as? [String: Any] ?? [:]
        var own: [(list: ModuleList, storage: SchemeTable.Storage)] = []
        for (name, value) in layers.sorted(by: { $0.key < $1.key }) {
            let place = "\(Self.place).layer_quant_config.\(name)"
            let list = ModuleList([name], hasWildcards: true)
            if !modules.contains(where: { list.matches($0) }) {
                log.error(place, "names no linear module of the model")
            }
            own.append((list, Self.storage(value, place: place, &log)))
        }
        let global = Self.storage(
            quantization["global_quant_config"],
            place: "\(Self.place).global_quant_config",
            &log
        )
        var storages: [String: SchemeTable.Storage] = [:]
        for module in modules where !excluded.matches(module) {
            storages[module] = own.first { $0.list.matches(module) }?.storage ?? global
        }
        return storages
    }

    private static func storage(
        _ value: Any?,
        place: String,
        _ log: inout LintLog
    ) -> SchemeTable.Storage {
        guard let scheme = value as? [String: Any], let weight = scheme["weight"] as? [String: Any]
        else {
            log.error(place, "has no weight")
            return .unchecked
        }
        let inputs = scheme["input_tensors"] as? [String: Any]
        if inputs?["is_dynamic"] as? Bool != true {
            log.warning(place, "input_tensors is not dynamic; vLLM refuses OCP MX weights then")
        }
        for (key, expected) in [("qscheme", "per_group"), ("scale_format", "e8m0")] {
            if let found = weight[key] as? String, found != expected {
                log.warning(place, "\(key) \(found) is not checked; \(expected) is")
                return .unchecked
            }
        }
        if let size = weight["group_size"] as? Int, size != 32 {
            log.error(place, "group_size is \(size); OCP MX has 32")
        }
        switch weight["dtype"] as? String {
        case "fp4": return .scheme(.mxfp4("fp4", codes: ".weight"))
        case "fp6_e2m3": return .scheme(.mxfp6("fp6_e2m3"))
        case "fp6_e3m2": return .scheme(.mxfp6("fp6_e3m2"))
        case let type:
            log.warning(place, "dtype \(type ?? "missing") is not checked")
            return .unchecked
        }
    }
}
