internal import Foundation
internal import Transformer

/// Gemma 3's text models: norms before and after and on each head's queries and keys; five layers
/// with a window and frequencies of their own, then one that sees everything.
struct Gemma3Family: ModelFamily {
    let architecture: Architecture
    let huggingFace: HuggingFaceTraits
    let gguf = GGUFTraits(
        architecture: "gemma3",
        biases: [],
        rotaryScalings: [.linear],
        windows: .computed
    )

    private static let localTheta = 10_000.0
    private static let pattern = 6

    init() {
        var architecture = GemmaShared.architecture("gemma3")
        architecture.normPlacement = .beforeAndAfter
        architecture.queryKeyNorm = .perHead
        self.architecture = architecture
        var traits = GemmaShared.traits(
            modelType: "gemma3_text",
            className: "Gemma3ForCausalLM"
        )
        traits.theta = 1_000_000
        traits.maximumPositions = 131_072
        huggingFace = traits
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        try GemmaShared.read(&keys, into: &model)
        try GemmaShared.expectActivation("hidden_act", &keys, model)
        try GemmaShared.readAttentionScale(&keys, into: &model)
        // Transformers keeps it, but never uses it.
        try keys.expect(["attn_logit_softcapping": .null])
        model.architecture.logitSoftCap =
            try keys.positive("final_logit_softcapping").map { Float($0) }
        let pattern = try keys.integer("sliding_window_pattern") ?? Self.pattern
        guard pattern > 0 else { throw keys.malformed("sliding_window_pattern", "is \(pattern)") }
        let types = try keys.slidingLayers(count: model.layerCount)
        // What Transformers saves beside layer_types, and does not read.
        if types == nil { try keys.expect(["_sliding_window_pattern": .integer(pattern)]) }
        keys.ignore(["_sliding_window_pattern"])
        let sliding = types ?? Self.sliding(model.layerCount, every: pattern)
        let window = try keys.window(absent: 4096, for: sliding)
        model.layerAttention = Self.attention(sliding, window)
    }

    /// Every `pattern`th layer sees everything.
    private static func sliding(_ count: Int, every pattern: Int) -> [Bool] {
        (0..<count).map { ($0 + 1) % pattern != 0 }
    }

    private static func attention(_ sliding: [Bool], _ window: Int?) -> [LayerAttention] {
        sliding.map {
            $0 ? LayerAttention(window: window, rotation: .local) : LayerAttention()
        }.orEmptyIfUniform
    }

    /// `rope_parameters` has an object for each kind of layer; older files have `rope_theta` and
    /// `rope_scaling` for layers that see everything and `rope_local_base_freq` for the others.
    func rotaries(
        _ keys: inout ConfigurationKeys,
        _ model: ModelConfiguration
    ) throws(ModelFileError) -> (global: RotaryEmbedding, local: RotaryEmbedding?) {
        var global = RotaryDefaults(theta: try keys.number("rope_theta") ?? huggingFace.theta)
        var local = global
        local.theta = try keys.number("rope_local_base_freq") ?? Self.localTheta
        global.originalPositions = try keys.integer("original_max_position_embeddings")
        var parameters = try keys.keys(in: "rope_parameters")
        let older = try keys.keys(in: "rope_scaling")
        if older != nil, parameters != nil {
            throw keys.refusal("rope_scaling", "rope_parameters says the same; remove one of them")
        }
        var rotary = RotaryEmbedding(theta: global.theta)
        var localRotary = RotaryEmbedding(theta: local.theta)
        if var nested = try parameters?.keys(in: "full_attention") ?? older {
            rotary = try self.rotary(&nested, global, model)
        }
        if var nested = try parameters?.keys(in: "sliding_attention") {
            localRotary = try self.rotary(&nested, local, model)
        }
        try parameters?.refuseRest(of: "rotary embeddings of \(name)")
        return (rotary, localRotary)
    }

    func writeRotary(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        let local = model.localRotary ?? RotaryEmbedding(theta: Self.localTheta)
        keys["rope_theta"] = model.rotary.theta
        keys["rope_local_base_freq"] = local.theta
        guard let scaling = local.scaling else {
            keys["rope_scaling"] = model.rotary.scaling.map { Self.keys(of: $0, model) }
            return
        }
        var full = model.rotary.scaling.map { Self.keys(of: $0, model) }
        full?["rope_theta"] = model.rotary.theta
        var sliding = Self.keys(of: scaling, model)
        sliding["rope_theta"] = local.theta
        keys["rope_parameters"] =
            [
                "full_attention": full ?? [
                    "rope_type": "default", "rope_theta": model.rotary.theta,
                ],
                "sliding_attention": sliding,
            ] as [String: Any]
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeBiases(model, into: &keys, withMLP: false)
        // Readers differ in which they take.
        keys["hidden_act"] = keys["hidden_activation"]
        GemmaShared.writeAttentionScale(model, into: &keys)
        keys["final_logit_softcapping"] = model.architecture.logitSoftCap?.decimal
        keys["layer_types"] = model.layerTypes
        keys["sliding_window"] = model.layerAttention.lazy.compactMap(\.window).first
        let sliding = (0..<model.layerCount).map { model.attention(ofLayer: $0).window != nil }
        // Readers before layer_types go by this key.
        if sliding == Self.sliding(model.layerCount, every: Self.pattern) {
            keys["sliding_window_pattern"] = Self.pattern
        }
    }

    func read(
        _ keys: inout GGUFKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        GemmaShared.scaleEmbedding(of: &model)
        GemmaShared.setAttentionScale(of: &model, largestLayerCount: 62)
        model.architecture.logitSoftCap = try keys.number("final_logit_softcapping").map {
            Float($0)
        }
        model.localRotary = RotaryEmbedding(
            theta: try keys.number("rope.freq_base_swa") ?? Self.localTheta
        )
        let window = try keys.integer("attention.sliding_window") ?? 0
        let sliding = try keys.slidingLayers(count: model.layerCount) { count, period in
            Self.sliding(count, every: period ?? Self.pattern)
        }
        // Without windows all layers have the global frequencies.
        if window > 0 { model.layerAttention = Self.attention(sliding, window) }
    }

    func write(_ model: ModelConfiguration, into metadata: inout GGUFMetadata) {
        if let cap = model.architecture.logitSoftCap {
            metadata.set("final_logit_softcapping", cap)
        }
        if let local = model.localRotary {
            metadata.set("rope.freq_base_swa", Float(local.theta))
        }
        if let window = model.layerAttention.lazy.compactMap(\.window).first {
            metadata.set("attention.sliding_window", window)
        }
        let sliding = model.layerAttention.map { $0.window != nil }
        if !sliding.isEmpty, sliding != Self.sliding(model.layerCount, every: Self.pattern) {
            metadata.set("attention.sliding_window_pattern", sliding)
        }
    }
}
