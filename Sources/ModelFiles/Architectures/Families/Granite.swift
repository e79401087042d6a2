internal import Transformer

/// Granite 3: Llama with four multipliers.
struct GraniteFamily: ModelFamily {
    let architecture = Architecture(family: "granite")
    let huggingFace = HuggingFaceTraits(modelType: "granite", className: "GraniteForCausalLM")
    let gguf = GGUFTraits(
        architecture: "granite",
        permutesQueriesAndKeys: true,
        rotaryScalings: [.linear, .yarn, .factors, .longRope]
    )

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.architecture.biasedModules = try keys.biasedModules(withMLP: true)
        let embedding = try keys.positive("embedding_multiplier") ?? 1
        let residual = try keys.positive("residual_multiplier") ?? 1
        let attention = try keys.positive("attention_multiplier") ?? 1
        let scaling = try keys.positive("logits_scaling") ?? 1
        model.architecture.embeddingMultiplier = Float(embedding)
        model.architecture.residualMultiplier = Float(residual)
        model.architecture.attentionScale = Float(attention)
        model.architecture.logitMultiplier = Float(1 / scaling)
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeBiases(model, into: &keys, withMLP: true)
        keys["embedding_multiplier"] = model.architecture.embeddingMultiplier.decimal
        keys["residual_multiplier"] = model.architecture.residualMultiplier.decimal
        keys["attention_multiplier"] = Self.attentionScale(model).decimal
        keys["logits_scaling"] = Self.logitsScaling(model)
    }

    private static func attentionScale(_ model: ModelConfiguration) -> Float {
        model.architecture.attentionScale ?? Float(1 / Double(model.headDimension).squareRoot())
    }

    /// What the logits are divided by: the decimal that the multiplier came from, where there is one.
    private static func logitsScaling(_ model: ModelConfiguration) -> Double {
        let multiplier = model.architecture.logitMultiplier
        let exact = 1 / Double(multiplier)
        let short = Float(exact).decimal
        return Float(1 / short) == multiplier ? short : exact
    }

    func read(
        _ keys: inout GGUFKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        // llama.cpp takes it for a switch of the rotary embedding.
        if try keys.flag("rope.scaling.finetuned") == false {
            throw keys.refusal("rope.scaling.finetuned", "only granite with positions is computed")
        }
        guard let scaling = try keys.number("logit_scale"), scaling != 0 else {
            throw keys.malformed("logit_scale", "is missing or zero")
        }
        model.architecture.logitMultiplier = Float(1 / scaling)
        // Zero stands for none.
        if let scale = try keys.number("embedding_scale"), scale != 0 {
            model.architecture.embeddingMultiplier = Float(scale)
        }
        if let scale = try keys.number("residual_scale"), scale != 0 {
            model.architecture.residualMultiplier = Float(scale)
        }
        if let scale = try keys.number("attention.scale"), scale != 0 {
            model.architecture.attentionScale = Float(scale)
        }
    }

    func write(_ model: ModelConfiguration, into metadata: inout GGUFMetadata) {
        metadata.set("embedding_scale", model.architecture.embeddingMultiplier)
        metadata.set("residual_scale", model.architecture.residualMultiplier)
        metadata.set("attention.scale", Self.attentionScale(model))
        metadata.set("logit_scale", Float(Self.logitsScaling(model)))
    }
}
