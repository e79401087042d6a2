/// A quantization configuration that is to be read, with what it is about.
struct QuantizationDocument {
    private static let file = "hf_quant_config.json"

    /// `quantization_config` of config.json, or else `quantization` of hf_quant_config.json.
    let root: JSONObject
    /// All of hf_quant_config.json, if there is one.
    let separate: JSONObject?
    /// Whether ``root`` is from hf_quant_config.json.
    let isSeparate: Bool
    /// Where hf_quant_config.json is, or would be.
    let separatePlace: String
    /// The matrices of the model, by the names they have in the files.
    let modules: [String]

    /// The modules of class `Linear`.
    var linearModules: [String] { modules.filter { ModuleNames.kind(of: $0) == "Linear" } }
}

extension QuantizationDocument {
    /// Finds the quantization of a folder in config.json, or beside it; nil if it has none.
    init?(
        _ configuration: JSONObject,
        folder: String,
        modules: [StoredModule],
        _ issues: inout ConfigurationIssues
    ) {
        let path = "\(folder)/\(Self.file)"
        separate = FileSystem.exists(path) ? Self.object(path, &issues) : nil
        separatePlace = path
        self.modules = modules.filter(\.isMatrix).map(\.name)
        let count = issues.all.count
        let own = issues.read(configuration) { root throws(ModelFileError) in
            try root.object("quantization_config")
        }
        guard issues.all.count == count else { return nil }
        if let own {
            (root, isSeparate) = (own, false)
            return
        }
        let other = issues.read(separate) { root throws(ModelFileError) in
            try root.object("quantization")
        }
        guard let other else { return nil }
        issues.warning(
            configuration.place + ": quantization_config",
            "is missing; few servers read \(Self.file) alone"
        )
        (root, isSeparate) = (other, true)
    }

    /// How each module is stored; nil and a refusal if the dialect is none that is known.
    func storages(_ issues: inout ConfigurationIssues) -> ModuleStorages? {
        guard !isSeparate else { return ModelOpt().read(self, &issues) }
        let count = issues.all.count
        let method = issues.read(root) { root throws(ModelFileError) in
            try root.text("quant_method")
        }
        guard let method else {
            if issues.all.count == count {
                issues.refuse(.malformed, root.place, "quant_method is missing")
            }
            return nil
        }
        guard let dialect = CheckpointDialects.named(method) else {
            let names = CheckpointDialects.all.map(\.name).joined(separator: ", ")
            issues.refuse(
                .unsupported,
                root.place,
                "quantization by \(method) is not read in this version; read are \(names)",
                severity: .error
            )
            return nil
        }
        return dialect.read(self, &issues)
    }

    private static func object(
        _ path: String,
        _ issues: inout ConfigurationIssues
    ) -> JSONObject? {
        do {
            return try JSONValue.object(path: path, byteLimit: 4 << 20, limit: 1 << 18)
        } catch {
            issues.refuse(error.code, path, String(error.message.dropFirst(path.count + 2)))
            return nil
        }
    }
}
