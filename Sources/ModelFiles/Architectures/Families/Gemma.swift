internal import Transformer

/// Gemma 1: norms by `1 + w`, GELU, an embedding scaled by √hidden.
struct GemmaFamily: ModelFamily {
    let architecture = GemmaShared.architecture("gemma")
    let huggingFace: HuggingFaceTraits
    let gguf = GGUFTraits(
        architecture: "gemma",
        biases: [],
        rotaryScalings: [.linear, .yarn],
        head: .embedding
    )

    init() {
        var traits = GemmaShared.traits(modelType: "gemma", className: "GemmaForCausalLM")
        traits.activationKey = "hidden_act"
        traits.keyValueHeadCount = 16
        huggingFace = traits
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        try GemmaShared.read(&keys, into: &model)
        // Of the first files' two keys, one is read, and `gelu` in it means the approximation.
        if model.architecture.activation == .gelu { model.architecture.activation = .geluTanh }
        try GemmaShared.expectActivation("hidden_activation", &keys, model)
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeBiases(model, into: &keys, withMLP: false)
    }

    func read(
        _ keys: inout GGUFKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        GemmaShared.scaleEmbedding(of: &model)
    }
}

/// What Gemma 1, 2 and 3 have in common.
enum GemmaShared {
    static func architecture(_ family: String) -> Architecture {
        var architecture = Architecture(family: family)
        architecture.activation = .geluTanh
        architecture.norm = .rmsOnePlus
        return architecture
    }

    static func traits(modelType: String, className: String) -> HuggingFaceTraits {
        var traits = HuggingFaceTraits(modelType: modelType, className: className)
        traits.activationKey = "hidden_activation"
        traits.maximumPositions = 8192
        traits.tiedEmbeddings = true
        traits.headDimension = 256
        traits.keyValueHeadCount = 4
        return traits
    }

    static func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.architecture.biasedModules = try keys.biasedModules(withMLP: false)
        scaleEmbedding(of: &model)
    }

    /// FP32's √hidden, which is what FP32 copies of BF16 weights are multiplied by as well.
    static func scaleEmbedding(of model: inout ModelConfiguration) {
        model.architecture.embeddingMultiplier = Float(Double(model.hiddenSize).squareRoot())
    }

    /// Refuses a second key of the activation that contradicts the one that is read.
    static func expectActivation(
        _ key: String,
        _ keys: inout ConfigurationKeys,
        _ model: ModelConfiguration
    ) throws(ModelFileError) {
        guard let name = try keys.text(key) else { return }
        guard Architecture.Activation(huggingFaceName: name) == model.architecture.activation
        else {
            throw keys.refusal(
                key,
                """
                \(model.architecture.activation.huggingFaceName) is computed, by another key; remove \
                this one
                """
            )
        }
    }

    /// `query_pre_attn_scalar`: what products of queries and keys are divided by the root of.
    static func readAttentionScale(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        let scalar = try keys.positive("query_pre_attn_scalar") ?? 256
        model.architecture.attentionScale = Float(1 / scalar.squareRoot())
    }

    static func writeAttentionScale(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        let scale = model.architecture.attentionScale.map(Double.init)
        let scalar = scale.map { 1 / ($0 * $0) } ?? Double(model.headDimension)
        let whole = scalar.rounded()
        let isWhole = scale.map { Float(1 / whole.squareRoot()) == Float($0) } ?? true
        keys["query_pre_attn_scalar"] =
            isWhole ? Int(exactly: whole) ?? scalar : scalar as Any
    }

    /// What llama.cpp takes for Gemma 2's and 3's `query_pre_attn_scalar`: the width of a head, but in
    /// the largest model, which it knows by its layers, hidden over heads.
    static func setAttentionScale(of model: inout ModelConfiguration, largestLayerCount: Int) {
        let scalar =
            model.layerCount == largestLayerCount
            ? model.hiddenSize / model.headCount : model.headDimension
        model.architecture.attentionScale = Float(1 / Double(scalar).squareRoot())
    }
}
