internal import Transformer

/// Phi-3 and Phi-4-mini: fused projections, longrope, and in the latter a part of each head that
/// does not turn.
struct Phi3Family: ModelFamily {
    let architecture: Architecture
    let huggingFace: HuggingFaceTraits
    let gguf: GGUFTraits

    init() {
        var architecture = Architecture(family: "phi3")
        architecture.fusedModules = [
            FusedModule(suffix: "self_attn.qkv_proj", parts: [.query, .key, .value]),
            FusedModule(suffix: "mlp.gate_up_proj", parts: [.gate, .up]),
        ]
        self.architecture = architecture
        var gguf = GGUFTraits(
            architecture: "phi3",
            biases: [],
            rotaryScalings: [.longRope],
            windows: .carried,
            hasHeadsOfHiddenSize: true
        )
        gguf.fusedNames = ["self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"]
        self.gguf = gguf
        var traits = HuggingFaceTraits(modelType: "phi3", className: "Phi3ForCausalLM")
        traits.normEpsilon = 1e-5
        traits.maximumPositions = 4096
        traits.partialRotaryFactor = 1
        traits.originalPositions = 4096
        // The names in its first files.
        traits.scalingSynonyms = ["su": "longrope", "yarn": "longrope"]
        huggingFace = traits
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        // Of the code that Phi-4-mini was published with.
        try keys.expect([
            "full_attn_mod": .integer(1), "interpolate_factor": .integer(1),
            "lm_head_bias": .flag(false),
        ])
        model.layerAttention = try keys.uniformWindow(model)
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeUniformWindow(model, into: &keys)
        var original = model.maximumPositions
        if case .longRope(let scaling) = model.rotary.scaling {
            original = scaling.originalPositions
        }
        // It stands beside the factors here, and their object has no room for it.
        keys["original_max_position_embeddings"] = original
        if var scaling = keys["rope_scaling"] as? [String: Any] {
            scaling["original_max_position_embeddings"] = nil
            scaling["type"] = scaling.removeValue(forKey: "rope_type")
            keys["rope_scaling"] = scaling
        }
    }
}
