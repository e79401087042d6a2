internal import Transformer

/// How llama.cpp names the tensors of a model, orders the rows of queries and keys, and keeps norms.
struct GGUFLayout {
    /// Where a parameter stands.
    struct Place {
        /// The tensor's name.
        let name: String
        /// Its shape, slowest first.
        let shape: [Int]
        /// The parameter's first row in it.
        let firstRow: Int
        /// Heads of a projection whose rows the converter permutes; nil of others.
        let permutedHeads: Int?
        /// What the converter adds to each value.
        let offset: Float
    }

    /// The rotary embedding's factors.
    static let factorTensors = [
        "rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight",
    ]

    let configuration: ModelConfiguration
    /// The tensors with the parameters they hold, in the order of the layout.
    let stored: [ParameterLayout.Stored]
    private let traits: GGUFTraits?
    private let places: [String: Place]
    /// llama.cpp's names of stored modules.
    private let names: [String: String]

    init(_ configuration: ModelConfiguration) {
        self.configuration = configuration
        let traits = ModelFamilies.named(configuration.architecture.family)?.gguf
        self.traits = traits
        stored = ParameterLayout.stored(of: configuration)
        let names = Self.names(of: configuration, traits)
        self.names = names
        var places: [String: Place] = [:]
        let norms = Self.normWeights(of: configuration)
        let offset = configuration.architecture.norm.weightOffset
        for stored in stored {
            for (part, row) in stored.partsWithFirstRows {
                places[part.name] = Place(
                    name: Self.name(of: stored.entry, names),
                    shape: stored.entry.shape,
                    firstRow: row,
                    permutedHeads: traits?.permutesQueriesAndKeys == true
                        ? Self.permutedHeads(part.module, configuration) : nil,
                    offset: norms.contains(part.name) ? offset : 0
                )
            }
        }
        self.places = places
    }

    /// Where a parameter of the model stands.
    func place(of entry: ParameterLayout.Entry) -> Place {
        guard let place = places[entry.name] else {
            preconditionFailure("\(entry.name) is no parameter of the model")
        }
        return place
    }

    /// llama.cpp's name of a stored tensor.
    func name(of entry: ParameterLayout.Entry) -> String { Self.name(of: entry, names) }

    private static func permutedHeads(
        _ module: String,
        _ configuration: ModelConfiguration
    ) -> Int? {
        if module.hasSuffix(".q_proj") { return configuration.headCount }
        return module.hasSuffix(".k_proj") ? configuration.keyValueHeadCount : nil
    }

    /// The names of all norms' weights.
    private static func normWeights(of configuration: ModelConfiguration) -> Set<String> {
        let layout = ParameterLayout(configuration: configuration)
        let inLayers = (0..<configuration.layerCount).flatMap { layer in
            NormSite.allCases.compactMap { layout.norm($0, layer: layer)?.weight.name }
        }
        return Set(inLayers + [layout.finalNorm.weight.name])
    }

    /// Where the converter puts a row: row `h·d + j·d/2 + i` of a head of `d` goes to `h·d + 2i + j`.
    static func fileRow(_ row: Int, rows: Int, heads: Int) -> Int {
        let d = rows / heads
        let within = row % d
        return row - within + 2 * (within % (d / 2)) + within / (d / 2)
    }

    private static func name(
        of entry: ParameterLayout.Entry,
        _ names: [String: String]
    ) -> String {
        guard let name = names[entry.module] else {
            preconditionFailure("\(entry.module) has no name in GGUF files")
        }
        // `.weight` or `.bias`.
        return name + entry.name.dropFirst(entry.module.count)
    }

    /// llama.cpp's names of all modules that a model stores.
    private static func names(
        of configuration: ModelConfiguration,
        _ traits: GGUFTraits?
    ) -> [String: String] {
        let architecture = configuration.architecture
        var names = [
            ParameterLayout.embeddingModule: "token_embd", ParameterLayout.headModule: "output",
            ParameterLayout.finalNormModule: "output_norm",
        ]
        for layer in 0..<configuration.layerCount {
            for module in LinearModule.allCases {
                names[module.name(layer: layer)] = name(of: module, layer: layer)
            }
            for site in NormSite.sites(of: architecture) {
                let suffix = site.suffix(architecture.normPlacement)
                names["model.layers.\(layer).\(suffix)"] = "blk.\(layer).\(stem(of: site))"
            }
            for fused in architecture.fusedModules {
                let stem = traits?.fusedNames[fused.suffix]
                names["model.layers.\(layer).\(fused.suffix)"] = stem.map { "blk.\(layer).\($0)" }
            }
        }
        return names
    }

    private static func name(of module: LinearModule, layer: Int) -> String {
        let stem =
            switch module {
            case .query: "attn_q"
            case .key: "attn_k"
            case .value: "attn_v"
            case .output: "attn_output"
            case .gate: "ffn_gate"
            case .up: "ffn_up"
            case .down: "ffn_down"
            }
        return "blk.\(layer).\(stem)"
    }

    private static func stem(of site: NormSite) -> String {
        switch site {
        case .attentionInput: "attn_norm"
        case .query: "attn_q_norm"
        case .key: "attn_k_norm"
        case .attentionOutput: "post_attention_norm"
        case .mlpInput: "ffn_norm"
        case .mlpOutput: "post_ffw_norm"
        }
    }

    static func biasName(of module: LinearModule, layer: Int) -> String {
        name(of: module, layer: layer) + ".bias"
    }
}
