internal import Transformer

/// Qwen 2 and 2.5: biases on queries, keys and values, windows in the later layers.
struct Qwen2Family: ModelFamily {
    let architecture: Architecture
    let huggingFace: HuggingFaceTraits
    let gguf = GGUFTraits(
        architecture: "qwen2",
        biases: [.query, .key, .value],
        rotaryScalings: [.linear, .yarn],
        windows: .carried,
        hasHeadsOfHiddenSize: true
    )

    init() {
        var architecture = Architecture(family: "qwen2")
        architecture.biasedModules = [.query, .key, .value]
        self.architecture = architecture
        var traits = HuggingFaceTraits(modelType: "qwen2", className: "Qwen2ForCausalLM")
        traits.maximumPositions = 32768
        traits.keyValueHeadCount = 32
        huggingFace = traits
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.layerAttention = try keys.qwenWindows(model)
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeQwenWindows(model, into: &keys)
    }
}
