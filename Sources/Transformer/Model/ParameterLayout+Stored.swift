extension ParameterLayout {
    /// A tensor as checkpoints store it: a parameter, or several, one after the other by rows.
    public struct Stored: Sendable {
        /// The tensor; its offset and count are its first part's and all parts' elements.
        public let entry: Entry
        /// The parameters in it, first rows first; of most tensors the tensor itself.
        public let parts: [Entry]

        /// The parts with their first rows within the tensor.
        public var partsWithFirstRows: [(part: Entry, firstRow: Int)] {
            var row = 0
            return parts.map { part in
                defer { row += part.shape[0] }
                return (part, row)
            }
        }
    }

    /// The tensors of a model in the order of the arena, with the modules that its architecture fuses
    /// as one: `self_attn.qkv_proj.weight` in place of those of `q_proj`, `k_proj` and `v_proj`.
    ///
    /// - Precondition: The configuration is valid.
    public static func stored(of configuration: ModelConfiguration) -> [Stored] {
        let layout = ParameterLayout(configuration: configuration)
        let fused = configuration.architecture.fusedModules
        var stored: [Stored] = []
        for entry in layout.entries {
            let found = layout.fusedModule(of: entry, fused)
            guard let (module, layer, isBias) = found else {
                stored.append(Stored(entry: entry, parts: [entry]))
                continue
            }
            let parts = module.parts.compactMap {
                isBias ? layout.bias(of: $0, layer: layer) : layout.entry(of: $0, layer: layer)
            }
            // The first part stands for all.
            guard entry == parts.first else { continue }
            let rows = parts.reduce(0) { $0 + $1.shape[0] }
            let whole = Entry(
                name: "model.layers.\(layer).\(module.suffix)." + (isBias ? "bias" : "weight"),
                shape: [rows] + entry.shape.dropFirst(),
                offset: entry.offset,
                count: parts.reduce(0) { $0 + $1.count }
            )
            stored.append(Stored(entry: whole, parts: parts))
        }
        return stored
    }

    /// The fused module that an entry is a part of, if any.
    private func fusedModule(
        of entry: Entry,
        _ fused: [FusedModule]
    ) -> (FusedModule, layer: Int, isBias: Bool)? {
        let pieces = entry.name.split(separator: ".")
        guard !fused.isEmpty, pieces.count == 6, let layer = Int(pieces[2]) else { return nil }
        let suffix = "\(pieces[3]).\(pieces[4])"
        guard let module = fused.first(where: { $0.parts.contains { $0.suffix == suffix } }) else {
            return nil
        }
        return (module, layer, pieces[5] == "bias")
    }
}
