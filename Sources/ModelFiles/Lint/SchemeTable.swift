/// How each module is stored by what the configuration says, and what is wrong with that.
struct SchemeTable {
    private let storages: ModuleStorages

    /// Reads the configuration as a reader does, and reports everything wrong with it.
    init(_ folder: CheckpointFolder, _ log: inout LintLog) {
        var issues = ConfigurationIssues()
        let document = QuantizationDocument(
            folder.configuration,
            folder: folder.path,
            modules: folder.modules,
            &issues
        )
        if let document {
            // What is not known to be stored in some way is not checked.
            storages =
                document.storages(&issues)
                ?? ModuleStorages(
                    quantized: Dictionary(
                        uniqueKeysWithValues: document.linearModules.map { ($0, .unchecked) }
                    )
                )
        } else {
            storages = ModuleStorages()
        }
        for issue in issues.all {
            log.add(issue.severity, Self.place(issue.place, in: folder.path), issue.message)
        }
    }

    /// How a module is stored.
    subscript(module: StoredModule) -> ModuleStorages.Storage { storages[module] }

    /// The names of a module's tensors; nil if they are not known.
    func tensorNames(of module: StoredModule) -> [String]? { storages.tensorNames(of: module) }

    /// Where the scales of the key-value cache stand, if there are such.
    var cacheScales: CacheScaleNames? { storages.cacheScales }

    /// The name of a file and the keys in it, as in `config.json: quantization_config.ignore`.
    private static func place(_ place: String, in folder: String) -> String {
        let prefix = folder + "/"
        let relative = place.hasPrefix(prefix) ? String(place.dropFirst(prefix.count)) : place
        guard let end = relative.firstRange(of: ": ") else { return relative }
        let keys = relative[end.upperBound...].replacing(": ", with: ".")
        return String(relative[..<end.upperBound] + keys)
    }
}
