/// Checks that hf_quant_config.json says what config.json says; readers look at either.
enum ModelOptAgreement {
    static func lint(_ document: QuantizationDocument, _ issues: inout ConfigurationIssues) {
        guard !document.isSeparate else { return }
        let ours = document.root
        guard let separate = document.separate else {
            issues.warning(
                document.separatePlace,
                "is missing; TensorRT-LLM reads it rather than config.json"
            )
            return
        }
        let other = issues.read(separate) { root throws(ModelFileError) in
            try root.object("quantization")
        }
        issues.account(
            for: separate,
            by: KnownKeys(used: ["quantization"], neutral: ["producer"])
        )
        guard let other else {
            issues.error(separate.place, "quantization is missing")
            return
        }
        issues.account(for: other, by: ModelOpt.rootKeys)
        let algorithm = text(ours, "quant_algo", &issues)
        let named = text(other, "quant_algo", &issues)
        if let algorithm, let named, algorithm != named {
            issues.refuse(
                .malformed,
                separate.place,
                "quant_algo is \(named), but \(algorithm) in config.json"
            )
        } else if algorithm != named {
            issues.error(
                separate.place,
                "quant_algo is \(named ?? "missing"), in config.json \(algorithm ?? "missing")"
            )
        }
        lintIgnored(ours, other, separate.place, &issues)
        let hasScheme = ours["kv_cache_scheme"] != nil
        let cache = text(other, "kv_cache_quant_algo", &issues)
        if hasScheme != (cache != nil) {
            issues.error(
                separate.place,
                """
                kv_cache_quant_algo is \(cache ?? "null"), kv_cache_scheme in config.json is \
                \(hasScheme ? "there" : "not")
                """
            )
        }
        lintLayers(ours, other, separate.place, &issues)
        let size = issues.read(other) { other throws(ModelFileError) in
            try other.integer("group_size")
        }
        let row = algorithm.flatMap(ModelOpt.row(named:))
        if let size, let row, row.scheme.blockSize > 1, size != row.scheme.blockSize {
            issues.error(
                separate.place,
                "group_size is \(size); \(row.algorithm) has \(row.scheme.blockSize)"
            )
        }
    }

    private static func text(
        _ object: JSONObject,
        _ key: String,
        _ issues: inout ConfigurationIssues
    ) -> String? {
        issues.read(object) { object throws(ModelFileError) in try object.text(key) }
    }

    private static func lintIgnored(
        _ ours: JSONObject,
        _ other: JSONObject,
        _ place: String,
        _ issues: inout ConfigurationIssues
    ) {
        func modules(_ root: JSONObject) -> Set<String> {
            // Other types are refused where the list is read.
            Set((try? root.texts(ModelOpt.ignoreKey(root))) ?? [])
        }
        let ignored = modules(ours)
        let excluded = modules(other)
        for module in ignored.symmetricDifference(excluded).sorted() {
            let file = excluded.contains(module) ? "exclude_modules alone" : "config.json alone"
            issues.error(place, "\(module) is left out by \(file)")
        }
    }

    private static func lintLayers(
        _ ours: JSONObject,
        _ other: JSONObject,
        _ place: String,
        _ issues: inout ConfigurationIssues
    ) {
        func algorithms(_ root: JSONObject) -> [String: String] {
            // The same: refused where it is read.
            let layers = (try? root.object("quantized_layers")?.objects()) ?? []
            return Dictionary(
                uniqueKeysWithValues: layers.map { name, layer in
                    (name, (try? layer.text("quant_algo")) ?? "missing")
                }
            )
        }
        let (first, second) = (algorithms(ours), algorithms(other))
        for layer in Set(first.keys).union(second.keys).sorted()
        where first[layer] != second[layer] {
            issues.error(
                place,
                """
                quantized_layers.\(layer) is \(second[layer] ?? "missing"), in config.json \
                \(first[layer] ?? "missing")
                """
            )
        }
    }
}
