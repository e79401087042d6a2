internal import Transformer

/// SmolLM 3: every fourth layer does not rotate.
struct SmolLM3Family: ModelFamily {
    let architecture = Architecture(family: "smollm3")
    let huggingFace: HuggingFaceTraits
    let gguf = GGUFTraits(
        architecture: "smollm3",
        permutesQueriesAndKeys: true,
        biases: [],
        rotaryScalings: [.linear, .yarn]
    )

    /// What llama.cpp has, whatever the file says.
    private static let interval = 4

    init() {
        var traits = HuggingFaceTraits(modelType: "smollm3", className: "SmolLM3ForCausalLM")
        traits.theta = 2_000_000
        traits.maximumPositions = 32768
        traits.keyValueHeadCount = 4
        traits.tiedEmbeddings = true
        huggingFace = traits
    }

    func read(
        _ keys: inout ConfigurationKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.architecture.biasedModules = try keys.biasedModules(withMLP: true)
        let rotates = try rotatingLayers(&keys, count: model.layerCount)
        let isUsed = try keys.flag("use_sliding_window") ?? false
        let window = try keys.windowLength()
        let types = try keys.slidingLayers(count: model.layerCount)
        // Of Qwen, which it was made from.
        keys.ignore(["max_window_layers"])
        model.layerAttention =
            rotates.enumerated().map { layer, rotates in
                let isSliding = types?[layer] ?? !rotates
                return LayerAttention(
                    window: isUsed && isSliding ? window : nil,
                    rotation: rotates ? .global : .none
                )
            }.orEmptyIfUniform
    }

    private func rotatingLayers(
        _ keys: inout ConfigurationKeys,
        count: Int
    ) throws(ModelFileError) -> [Bool] {
        let interval = try keys.integer("no_rope_layer_interval") ?? Self.interval
        let key = "no_rope_layers"
        guard let list = try keys.integers(key) else {
            guard interval > 0 else {
                throw keys.malformed("no_rope_layer_interval", "is \(interval)")
            }
            return (0..<count).map { ($0 + 1) % interval != 0 }
        }
        // 1 stands for layers that do rotate.
        guard list.count >= count, list.allSatisfy({ $0 == 0 || $0 == 1 }) else {
            throw keys.malformed(key, "holds no 0 or 1 for each of \(count) layers")
        }
        return list.prefix(count).map { $0 == 1 }
    }

    func write(_ model: ModelConfiguration, into keys: inout [String: Any]) {
        writeBiases(model, into: &keys, withMLP: true)
        let layers = (0..<model.layerCount).map { model.attention(ofLayer: $0) }
        keys["no_rope_layers"] = layers.map { $0.rotation == .none ? 0 : 1 }
        keys["layer_types"] = model.layerTypes
        let window = layers.lazy.compactMap(\.window).first
        keys["use_sliding_window"] = window != nil
        keys["sliding_window"] = window
    }

    func read(
        _ keys: inout GGUFKeys,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        model.layerAttention =
            (0..<model.layerCount).map {
                LayerAttention(rotation: ($0 + 1) % Self.interval == 0 ? .none : .global)
            }.orEmptyIfUniform
    }
}
