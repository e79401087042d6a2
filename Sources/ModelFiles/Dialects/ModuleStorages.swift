/// How each module of a checkpoint is stored and run.
struct ModuleStorages {
    /// What is known of a module.
    enum Storage: Equatable {
        /// A float weight.
        case plain
        /// Quantized, with the rounding of its inputs: both are said in one place.
        case scheme(StorageScheme, inputs: InputScheme)
        /// Quantized in a way that is not known here; an issue says so.
        case unchecked
    }

    /// Quantized modules by name.
    var quantized: [String: Storage] = [:]
    /// Where the scales of the key-value cache stand; nil if the configuration speaks of none.
    var cacheScales: CacheScaleNames?
    /// What is said of the cache and is not computed here; nil if there is nothing.
    var cacheObstacle: String?

    /// How a module is stored: a vector by itself, whatever becomes of the matrix beside it, whose
    /// name it shares.
    subscript(module: StoredModule) -> Storage {
        module.isMatrix ? quantized[module.name] ?? .plain : .plain
    }

    /// The names of a module's tensors, with those that it may be without; nil if they are not known.
    ///
    /// Who reads, checks or counts the tensors of a folder goes by these.
    func tensorNames(of module: StoredModule) -> [String]? {
        switch self[module] {
        case .plain: [module.plainName]
        case .scheme(let scheme, _): scheme.tensors.map { module.name + $0.suffix }
        case .unchecked: nil
        }
    }
}

/// The names and the shape of the FP8 scales of a layer's keys and values.
struct CacheScaleNames: Sendable, Equatable {
    let key: String
    let value: String
    /// Empty for a scalar.
    let shape: [Int]

    /// Whether they stand beside `k_proj` and `v_proj`, not beside attention.
    var isBesideProjections: Bool { key.contains(".") }

    /// The modules of a layer that they stand beside.
    func projections(layer: Int) -> [String] {
        let names = names(layer: layer)
        return [names.key, names.value].map { name in
            String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)])
        }
    }

    /// The tensors' names in a layer.
    func names(layer: Int) -> (key: String, value: String) {
        let prefix = "model.layers.\(layer).self_attn."
        return (prefix + key, prefix + value)
    }
}
