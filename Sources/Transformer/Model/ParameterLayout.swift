/// Where each parameter stands in an arena, and under which name and shape.
public struct ParameterLayout: Sendable {
    /// One parameter.
    public struct Entry: Sendable, Equatable {
        /// Hugging Face's name, as in `model.layers.0.mlp.up_proj.weight`.
        public let name: String
        /// PyTorch's shape: `[out, in]` of a linear layer, `[width]` of a norm.
        public let shape: [Int]
        /// First element in the arena.
        public let offset: Int
        /// Number of elements.
        public let count: Int

        /// The name of the module whose weight this is, as in `model.layers.0.mlp.up_proj`.
        public var module: String { String(name.dropLast(".weight".count)) }
        /// Rows when seen as a matrix; 1 of a vector.
        public var rows: Int { shape.count > 1 ? shape[0] : 1 }
        /// Columns when seen as a matrix.
        public var columns: Int { shape[shape.count - 1] }
    }

    /// All parameters in the order of the arena.
    public let entries: [Entry]
    /// Elements of all parameters.
    public let totalCount: Int
    private let indices: [String: Int]

    /// The layout of a configuration's parameters.
    ///
    /// - Precondition: The configuration is valid; otherwise sizes may overflow.
    public init(configuration: ModelConfiguration) {
        var entries: [Entry] = []
        var offset = 0
        func append(_ name: String, _ shape: [Int]) {
            let count = shape.reduce(1, *)
            entries.append(Entry(name: name, shape: shape, offset: offset, count: count))
            offset += count
        }
        let width = configuration.hiddenSize
        append("model.embed_tokens.weight", [configuration.vocabularySize, width])
        for layer in 0..<configuration.layerCount {
            append("model.layers.\(layer).input_layernorm.weight", [width])
            for module in LinearModule.allCases {
                if module == .gate {
                    append("model.layers.\(layer).post_attention_layernorm.weight", [width])
                }
                append(
                    module.name(layer: layer) + ".weight",
                    [module.outputWidth(configuration), module.inputWidth(configuration)]
                )
            }
        }
        append("model.norm.weight", [width])
        if !configuration.tiedEmbeddings {
            append("lm_head.weight", [configuration.vocabularySize, width])
        }
        self.entries = entries
        self.totalCount = offset
        self.indices = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
    }

    /// The parameter of a name, or nil.
    public subscript(name: String) -> Entry? {
        indices[name].map { entries[$0] }
    }

    /// The position of a name in ``entries``, or nil.
    public func index(of name: String) -> Int? { indices[name] }

    /// The weight of a linear module of a decoder layer.
    ///
    /// - Precondition: The layer exists.
    public func entry(of module: LinearModule, layer: Int) -> Entry {
        // The embedding, then per layer seven weights and two norms.
        let first = 1 + layer * (LinearModule.allCases.count + 2)
        let norms = module.rawValue < LinearModule.gate.rawValue ? 1 : 2
        return entries[first + norms + module.rawValue]
    }

    /// The linear module and the decoder layer whose weight this is; nil of other parameters.
    public func module(of entry: Entry) -> (LinearModule, layer: Int)? {
        guard let index = index(of: entry.name), index > 0 else { return nil }
        let (layer, place) = (index - 1).quotientAndRemainder(
            dividingBy: LinearModule.allCases.count + 2
        )
        let norms = place > LinearModule.gate.rawValue + 1 ? 2 : 1
        guard let module = LinearModule(rawValue: place - norms),
            entry.name == module.name(layer: layer) + ".weight"
        else { return nil }
        return (module, layer)
    }

    /// The parameter of a name that the layout is known to hold.
    func known(_ name: String) -> Entry {
        guard let entry = self[name] else {
            preconditionFailure("no parameter \(name) in this layout")
        }
        return entry
    }
}
