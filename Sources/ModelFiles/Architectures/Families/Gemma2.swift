internal import Foundation
internal import Transformer

/// Gemma 2: norms before and after, soft caps, windows in every other layer.
struct Gemma2Family: ModelFamily {
    let architecture: Architecture
    let huggingFace = GemmaShared.traits(modelType: "gemma2", className: "Gemma2ForCausalLM")
    let gguf = GGUFTraits(
        architecture: "gemma2",
        biases: [],
        rotaryScalings: [.linear],
        windows: .computed,
        head: .embedding
    )

    init() {
        var architecture = GemmaShared.architecture("gemma2")
        architecture.normPlacement = .beforeAndAfter
        self.architecture = architecture
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        try GemmaShared.read(&keys, into: &model)
        try GemmaShared.expectActivation("hidden_act", &keys, model)
        try GemmaShared.readAttentionScale(&keys, into: &model)
        model.architecture.attentionSoftCap =
            try keys.positive("attn_logit_softcapping", absent: 50).map { Float($0) }
        model.architecture.logitSoftCap =
            try keys.positive("final_logit_softcapping", absent: 30).map { Float($0) }
        let sliding =
            try keys.slidingLayers(count: model.layerCount)
            ?? Self.alternating(model.layerCount)
        let window = try keys.window(absent: 4096, for: sliding)
        model.layerAttention =
            sliding.map { LayerAttention(window: $0 ? window : nil) }
            .orEmptyIfUniform
    }

    private static func alternating(_ count: Int) -> [Bool] {
        (0..<count).map { $0.isMultiple(of: 2) }
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeBiases(model, into: &keys, withMLP: false)
        // Readers differ in which they take.
        keys["hidden_act"] = keys["hidden_activation"]
        GemmaShared.writeAttentionScale(model, into: &keys)
        let architecture = model.architecture
        keys["attn_logit_softcapping"] =
            architecture.attentionSoftCap?.decimal ?? NSNull() as Any
        keys["final_logit_softcapping"] = architecture.logitSoftCap?.decimal ?? NSNull() as Any
        keys["layer_types"] = model.layerTypes
        keys["sliding_window"] = model.layerAttention.lazy.compactMap(\.window).first
    }

    func read(
        _ keys: inout GGUFKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        GemmaShared.scaleEmbedding(of: &model)
        GemmaShared.setAttentionScale(of: &model, largestLayerCount: 46)
        model.architecture.attentionSoftCap = Float(
            try keys.number("attn_logit_softcapping") ?? 50
        )
        model.architecture.logitSoftCap = Float(try keys.number("final_logit_softcapping") ?? 30)
        let window = try keys.integer("attention.sliding_window") ?? 4096
        let sliding = try keys.slidingLayers(count: model.layerCount) { count, period in
            let period = period ?? 2
            return (0..<count).map { ($0 + 1) % period != 0 }
        }
        model.layerAttention =
            sliding.map { LayerAttention(window: $0 ? window : nil) }
            .orEmptyIfUniform
    }

    func write(_ model: ModelConfiguration, into metadata: inout GGUFMetadata) {
        if let cap = model.architecture.attentionSoftCap {
            metadata.set("attn_logit_softcapping", cap)
        }
        if let cap = model.architecture.logitSoftCap {
            metadata.set("final_logit_softcapping", cap)
        }
        if let window = model.layerAttention.lazy.compactMap(\.window).first {
            metadata.set("attention.sliding_window", window)
        }
        let sliding = (0..<model.layerCount).map { model.attention(ofLayer: $0).window != nil }
        if sliding != Self.alternating(model.layerCount) {
            metadata.set("attention.sliding_window_pattern", sliding)
        }
    }
}
