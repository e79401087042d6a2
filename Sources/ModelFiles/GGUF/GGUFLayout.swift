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
    /// The tokens that end a text, the main one first.
    static let endKeys = [
        "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
        "tokenizer.ggml.eom_token_id",
    ]

    let configuration: ModelConfiguration
    /// The tensors with the parameters they hold, in the order of the layout.
    let stored: [ParameterLayout.Stored]
    private let traits: GGUFTraits?
    private let places: [String: Place]

    init(_ configuration: ModelConfiguration) {
        self.configuration = configuration
        let traits = ModelFamilies.named(configuration.architecture.family)?.gguf
        self.traits = traits
        stored = ParameterLayout.stored(of: configuration)
        var places: [String: Place] = [:]
        for stored in stored {
            for (part, row) in stored.partsWithFirstRows {
                places[part.name] = Place(
                    name: Self.name(
                        of: stored.entry.name,
                        configuration.architecture.normPlacement
                    ),
                    shape: stored.entry.shape,
                    firstRow: row,
                    permutedHeads: traits?.permutesQueriesAndKeys == true
                        ? Self.permutedHeads(part.module, configuration) : nil,
                    offset: Self.offset(of: part.name, configuration)
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
    func name(of entry: ParameterLayout.Entry) -> String {
        Self.name(of: entry.name, configuration.architecture.normPlacement)
    }

    private static func permutedHeads(
        _ module: String,
        _ configuration: ModelConfiguration
    ) -> Int? {
        if module.hasSuffix(".q_proj") { return configuration.headCount }
        return module.hasSuffix(".k_proj") ? configuration.keyValueHeadCount : nil
    }

    private static func offset(of name: String, _ configuration: ModelConfiguration) -> Float {
        let isNorm = name.hasSuffix("norm.weight")
        return isNorm ? configuration.architecture.norm.weightOffset : 0
    }

    /// Where the converter puts a row: row `h·d + j·d/2 + i` of a head of `d` goes to `h·d + 2i + j`.
    static func fileRow(_ row: Int, rows: Int, heads: Int) -> Int {
        let d = rows / heads
        let within = row % d
        return row - within + 2 * (within % (d / 2)) + within / (d / 2)
    }

    /// llama.cpp's name of a tensor.
    private static func name(
        of parameter: String,
        _ placement: Architecture.NormPlacement
    ) -> String {
        switch parameter {
        case "model.embed_tokens.weight": return "token_embd.weight"
        case "lm_head.weight": return "output.weight"
        default: break
        }
        let parts = parameter.split(separator: ".")
        if parts.count == 3 { return "output_norm.\(parts[2])" }
        // model.layers.N.<module>.weight
        let suffix = parts[parts.count - 2]
        // On attention's output where norms stand there, and else on the MLP's input.
        let isAfter = suffix == "post_attention_layernorm" && placement != .before
        let module = isAfter ? "post_attention_norm" : modules[String(suffix)] ?? "?"
        return "blk.\(parts[2]).\(module).\(parts[parts.count - 1])"
    }

    private static let modules = [
        "input_layernorm": "attn_norm", "q_proj": "attn_q", "k_proj": "attn_k",
        "v_proj": "attn_v", "qkv_proj": "attn_qkv", "q_norm": "attn_q_norm",
        "k_norm": "attn_k_norm", "o_proj": "attn_output",
        "post_attention_layernorm": "ffn_norm", "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
        "gate_proj": "ffn_gate", "up_proj": "ffn_up", "gate_up_proj": "ffn_up",
        "down_proj": "ffn_down",
    ]

    /// The name of a matrix; norms have others where they stand elsewhere.
    static func linearName(of parameter: String) -> String { name(of: parameter, .before) }

    static func biasName(of module: LinearModule, layer: Int) -> String {
        name(of: module.name(layer: layer) + ".bias", .before)
    }
}
