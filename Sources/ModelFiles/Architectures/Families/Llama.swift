internal import Transformer

/// Llama 1 to 3.3, SmolLM 1 and 2, and what else is stored as Llama.
struct LlamaFamily: ModelFamily {
    let architecture = Architecture.llama
    let huggingFace = HuggingFaceTraits(modelType: "llama", className: "LlamaForCausalLM")
    let gguf = GGUFTraits(
        architecture: "llama",
        permutesQueriesAndKeys: true,
        rotaryScalings: [.linear, .yarn, .factors, .longRope]
    )

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.architecture.biasedModules = try keys.biasedModules(withMLP: true)
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeBiases(model, into: &keys, withMLP: true)
    }
}
