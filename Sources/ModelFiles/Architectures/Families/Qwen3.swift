internal import Transformer

/// Qwen 3: norms on each head's queries and keys.
struct Qwen3Family: ModelFamily {
    let architecture: Architecture
    let huggingFace: HuggingFaceTraits
    let gguf = GGUFTraits(
        architecture: "qwen3",
        biases: [],
        rotaryScalings: [.linear, .yarn],
        windows: .carried
    )

    init() {
        var architecture = Architecture(family: "qwen3")
        architecture.queryKeyNorm = .perHead
        self.architecture = architecture
        var traits = HuggingFaceTraits(modelType: "qwen3", className: "Qwen3ForCausalLM")
        traits.maximumPositions = 32768
        traits.keyValueHeadCount = 32
        traits.headDimension = 128
        huggingFace = traits
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.architecture.biasedModules = try keys.biasedModules(withMLP: false)
        model.layerAttention = try keys.qwenWindows(model)
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeBiases(model, into: &keys, withMLP: false)
        writeQwenWindows(model, into: &keys)
    }
}
