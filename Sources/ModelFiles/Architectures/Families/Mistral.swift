internal import Transformer

/// Mistral 7B, Nemo and Small: Llama with a window over all layers or none.
struct MistralFamily: ModelFamily {
    let architecture = Architecture(family: "mistral")
    let huggingFace: HuggingFaceTraits
    let gguf = GGUFTraits(
        architecture: "llama",
        permutesQueriesAndKeys: true,
        rotaryScalings: [.linear, .yarn, .factors, .longRope],
        windows: .carried
    )

    init() {
        var traits = HuggingFaceTraits(modelType: "mistral", className: "MistralForCausalLM")
        traits.maximumPositions = 4096 * 32
        traits.keyValueHeadCount = 8
        huggingFace = traits
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.layerAttention = try keys.uniformWindow(absent: 4096, model)
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeUniformWindow(model, into: &keys)
    }
}
