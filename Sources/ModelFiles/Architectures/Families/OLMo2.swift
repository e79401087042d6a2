internal import Transformer

/// OLMo 2: norms after attention and MLP, and on queries and keys over their full width.
struct OLMo2Family: ModelFamily {
    let architecture: Architecture
    let huggingFace: HuggingFaceTraits
    let gguf = GGUFTraits(
        architecture: "olmo2",
        biases: [],
        rotaryScalings: [.linear, .yarn],
        head: .own,
        hasHeadsOfHiddenSize: true
    )

    init() {
        var architecture = Architecture(family: "olmo2")
        architecture.normPlacement = .after
        architecture.queryKeyNorm = .fullWidth
        self.architecture = architecture
        var traits = HuggingFaceTraits(modelType: "olmo2", className: "Olmo2ForCausalLM")
        traits.normEpsilon = 1e-5
        huggingFace = traits
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.architecture.biasedModules = try keys.biasedModules(withMLP: false)
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeBiases(model, into: &keys, withMLP: false)
    }
}
