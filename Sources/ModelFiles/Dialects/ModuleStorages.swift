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

    subscript(module: String) -> Storage { quantized[module] ?? .plain }
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
