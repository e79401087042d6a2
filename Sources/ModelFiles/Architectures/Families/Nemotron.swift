internal import Transformer

/// Nemotron and Minitron: LayerNorm by `1 + w`, squared ReLU without a gate, half of each head turns.
struct NemotronFamily: ModelFamily {
    let architecture: Architecture
    let huggingFace: HuggingFaceTraits
    let gguf = GGUFTraits(
        architecture: "nemotron",
        rotaryScalings: [.linear],
        head: .own,
        hasHeadsOfHiddenSize: true
    )

    init() {
        var architecture = Architecture(family: "nemotron")
        architecture.activation = .reluSquared
        architecture.hasGate = false
        architecture.norm = .layerOnePlus
        self.architecture = architecture
        var traits = HuggingFaceTraits(modelType: "nemotron", className: "NemotronForCausalLM")
        traits.normEpsilonKey = "norm_eps"
        traits.normEpsilon = 1e-5
        traits.maximumPositions = 4096
        traits.partialRotaryFactor = 0.5
        huggingFace = traits
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.architecture.biasedModules = try keys.biasedModules(withMLP: true)
            .subtracting([.gate])
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeBiases(model, into: &keys, withMLP: true)
    }
}
