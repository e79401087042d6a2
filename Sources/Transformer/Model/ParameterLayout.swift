/// Where each parameter stands in an arena, and under which name and shape.
public struct ParameterLayout: Sendable {
    /// One parameter.
    public struct Entry: Sendable, Equatable {
        /// Hugging Face's name, as in `model.layers.0.mlp.up_proj.weight`.
        public let name: String
        /// PyTorch's shape: `[out, in]` of a linear layer, `[width]` of a norm or a bias.
        public let shape: [Int]
        /// First element in the arena.
        public let offset: Int
        /// Number of elements.
        public let count: Int

        /// The name of the module whose weight or bias this is, as in
        /// `model.layers.0.mlp.up_proj`.
        public var module: String {
            name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
        }
        /// Rows when seen as a matrix; 1 of a vector.
        public var rows: Int { shape.count > 1 ? shape[0] : 1 }
        /// Columns when seen as a matrix.
        public var columns: Int { shape[shape.count - 1] }
    }

    /// A norm's or a linear module's parameters.
    public struct Module: Sendable, Equatable {
        /// The weight.
        public let weight: Entry
        /// The bias, if the module has one.
        public let bias: Entry?
    }

    /// The parameters of one decoder layer.
    struct Layer: Sendable {
        /// By ``LinearModule``'s raw value.
        var linear = [Module?](repeating: nil, count: LinearModule.allCases.count)
        /// By ``NormSite``'s raw value.
        var norms = [Module?](repeating: nil, count: NormSite.allCases.count)
    }

    /// The embedding's module, under Hugging Face's name.
    public static let embeddingModule = "model.embed_tokens"
    /// The head's module; where it is tied, there is none.
    public static let headModule = "lm_head"
    /// The module of the norm after the last layer.
    public static let finalNormModule = "model.norm"

    /// The shape of the model.
    public let configuration: ModelConfiguration
    /// All parameters in the order of the arena.
    public let entries: [Entry]
    /// Elements of all parameters.
    public let totalCount: Int
    /// The embedding.
    public let embedding: Entry
    /// The norm after the last layer.
    public let finalNorm: Module
    /// The head; the embedding where the two are tied.
    public let head: Entry
    private let layers: [Layer]
    private let indices: [String: Int]
    private let linearModules: [Int: (LinearModule, layer: Int)]

    /// The layout of a configuration's parameters.
    ///
    /// - Precondition: The configuration is valid; otherwise sizes may overflow.
    public init(configuration: ModelConfiguration) {
        self.configuration = configuration
        var builder = Builder(configuration: configuration)
        embedding = builder.append(
            Self.embeddingModule + ".weight",
            [configuration.vocabularySize, configuration.hiddenSize]
        )
        layers = (0..<configuration.layerCount).map { builder.appendLayer($0) }
        finalNorm = builder.appendNorm(Self.finalNormModule, width: configuration.hiddenSize)
        head =
            configuration.tiedEmbeddings
            ? embedding
            : builder.append(
                Self.headModule + ".weight",
                [configuration.vocabularySize, configuration.hiddenSize]
            )
        entries = builder.entries
        totalCount = builder.offset
        linearModules = builder.linearModules
        indices = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
    }

    /// The parameter of a name, or nil.
    public subscript(name: String) -> Entry? {
        indices[name].map { entries[$0] }
    }

    /// The position of a name in ``entries``, or nil.
    public func index(of name: String) -> Int? { indices[name] }

    /// The weight of a linear module of a decoder layer.
    ///
    /// - Precondition: The layer exists and has the module.
    public func entry(of module: LinearModule, layer: Int) -> Entry {
        guard let found = layers[layer].linear[module.rawValue] else {
            preconditionFailure("layer \(layer) has no \(module.suffix)")
        }
        return found.weight
    }

    /// The parameters of a linear module of a decoder layer; nil where the layer has none.
    func module(_ module: LinearModule, layer: Int) -> Module? {
        layers[layer].linear[module.rawValue]
    }

    /// Calls `body` for the weights of the modules that share a module's input; allocates nothing.
    func forEachWeight(
        sharingInputOf module: LinearModule,
        layer: Int,
        _ body: (Entry) -> Void
    ) {
        let group = configuration.inputGroup(of: module)
        for member in LinearModule.allCases where configuration.inputGroup(of: member) == group {
            if let found = self.module(member, layer: layer) { body(found.weight) }
        }
    }

    /// The bias of a linear module of a decoder layer, if it has one.
    public func bias(of module: LinearModule, layer: Int) -> Entry? {
        layers[layer].linear[module.rawValue]?.bias
    }

    /// A norm of a decoder layer; nil where the architecture has none there.
    public func norm(_ site: NormSite, layer: Int) -> Module? {
        layers[layer].norms[site.rawValue]
    }

    /// The weights of the modules that share a module's input in a decoder layer.
    public func entries(sharingInputOf module: LinearModule, layer: Int) -> [Entry] {
        configuration.modules(sharingInputOf: module).map { entry(of: $0, layer: layer) }
    }

    /// The linear module and the decoder layer whose weight this is; nil of other parameters.
    public func module(of entry: Entry) -> (LinearModule, layer: Int)? {
        linearModules[entry.offset].flatMap { found in
            self.entry(of: found.0, layer: found.layer) == entry ? found : nil
        }
    }
}

extension ParameterLayout {
    /// Lays parameters out one after the other.
    private struct Builder {
        let configuration: ModelConfiguration
        private(set) var entries: [Entry] = []
        private(set) var offset = 0
        /// By the offset of a weight.
        private(set) var linearModules: [Int: (LinearModule, layer: Int)] = [:]

        init(configuration: ModelConfiguration) { self.configuration = configuration }

        mutating func append(_ name: String, _ shape: [Int]) -> Entry {
            let entry = Entry(
                name: name,
                shape: shape,
                offset: offset,
                count: shape.reduce(1, *)
            )
            entries.append(entry)
            offset += entry.count
            return entry
        }

        mutating func appendNorm(_ name: String, width: Int) -> Module {
            let weight = append(name + ".weight", [width])
            let hasBias = configuration.architecture.norm.isCentered
            return Module(weight: weight, bias: hasBias ? append(name + ".bias", [width]) : nil)
        }

        mutating func appendLayer(_ index: Int) -> Layer {
            var layer = Layer()
            appendNorms([.attentionInput], index, to: &layer)
            appendLinear([.query, .key, .value], index, to: &layer)
            appendNorms([.query, .key], index, to: &layer)
            appendLinear([.output], index, to: &layer)
            appendNorms([.attentionOutput, .mlpInput], index, to: &layer)
            appendLinear([.gate, .up, .down], index, to: &layer)
            appendNorms([.mlpOutput], index, to: &layer)
            return layer
        }

        private mutating func appendNorms(
            _ wanted: [NormSite],
            _ index: Int,
            to layer: inout Layer
        ) {
            let sites = NormSite.sites(of: configuration.architecture)
            for site in wanted where sites.contains(site) {
                let suffix = site.suffix(configuration.architecture.normPlacement)
                layer.norms[site.rawValue] = appendNorm(
                    "model.layers.\(index).\(suffix)",
                    width: site.width(configuration)
                )
            }
        }

        private mutating func appendLinear(
            _ wanted: [LinearModule],
            _ index: Int,
            to layer: inout Layer
        ) {
            for module in wanted where configuration.linearModules.contains(module) {
                layer.linear[module.rawValue] = appendLinear(module, layer: index)
            }
        }

        private mutating func appendLinear(_ module: LinearModule, layer: Int) -> Module {
            let name = module.name(layer: layer)
            let rows = module.outputWidth(configuration)
            let weight = append(name + ".weight", [rows, module.inputWidth(configuration)])
            linearModules[weight.offset] = (module, layer)
            let hasBias = configuration.architecture.biasedModules.contains(module)
            return Module(weight: weight, bias: hasBias ? append(name + ".bias", [rows]) : nil)
        }
    }
}
