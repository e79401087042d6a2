internal import Transformer

/// What config.json says in all families.
extension ModelFamily {
    /// The model that config.json describes.
    ///
    /// - Throws: ``ModelFileError``, naming the key: one that is missing or out of range, one with a
    ///   value that is not computed, or one that is not known.
    func configuration(
        from keys: inout ConfigurationKeys
    ) throws(ModelFileError) -> ModelConfiguration {
        let traits = huggingFace
        let heads = try keys.required("num_attention_heads")
        var model = ModelConfiguration(
            vocabularySize: try keys.required("vocab_size"),
            hiddenSize: try keys.required("hidden_size"),
            intermediateSize: try keys.required("intermediate_size"),
            layerCount: try keys.required("num_hidden_layers"),
            headCount: heads,
            keyValueHeadCount: try keys.integer(
                "num_key_value_heads",
                absent: traits.keyValueHeadCount
            ) ?? heads,
            headDimension: try keys.integer("head_dim") ?? traits.headDimension,
            normEpsilon: Float(
                try keys.positive(traits.normEpsilonKey) ?? Double(traits.normEpsilon)
            ),
            maximumPositions: try keys.integer("max_position_embeddings")
                ?? traits.maximumPositions,
            tiedEmbeddings: try keys.flag("tie_word_embeddings") ?? traits.tiedEmbeddings
        )
        // A window, a list and a rotary embedding are as large as the layers and heads.
        try checkSizes(model, place: keys.place)
        model.architecture = architecture
        model.architecture.activation = try activation(&keys)
        (model.rotary, model.localRotary) = try rotaries(&keys, model)
        model.bosToken = try keys.tokens("bos_token_id")?.first
        model.eosTokens = try keys.tokens("eos_token_id") ?? []
        model.padToken = try keys.tokens("pad_token_id")?.first
        try read(&keys, into: &model)
        try keys.expect(NeutralKeys.expected)
        try expectUniformLayers(&keys, model)
        keys.ignore(NeutralKeys.ignored)
        try keys.refuseRest(of: name)
        try checkTokens(model, place: keys.place)
        try validate(model, place: keys.place)
        return model
    }

    private func checkSizes(
        _ model: ModelConfiguration,
        place: String
    ) throws(ModelFileError) {
        var plain = model
        plain.layerAttention = []
        plain.architecture = architecture
        try validate(plain, place: place)
    }

    func validate(_ model: ModelConfiguration, place: String) throws(ModelFileError) {
        do {
            try model.validate()
        } catch {
            throw ModelFileError(.malformed, "\(place): \(error.message)")
        }
    }

    private func checkTokens(
        _ model: ModelConfiguration,
        place: String
    ) throws(ModelFileError) {
        let tokens =
            [("bos_token_id", model.bosToken), ("pad_token_id", model.padToken)]
            + model.eosTokens.map { ("eos_token_id", $0) }
        for case (let key, let token?) in tokens where token >= model.vocabularySize {
            throw ModelFileError(
                .malformed,
                "\(place): \(key) is \(token), but vocab_size is \(model.vocabularySize)"
            )
        }
    }

    private func activation(
        _ keys: inout ConfigurationKeys
    ) throws(ModelFileError) -> Architecture.Activation {
        let key = huggingFace.activationKey
        guard let name = try keys.text(key) else { return architecture.activation }
        guard let found = Architecture.Activation(huggingFaceName: name) else {
            let names = Architecture.Activation.allCases.map(\.huggingFaceName)
            throw keys.refusal(key, "computed are \(names.joined(separator: ", "))")
        }
        return found
    }

    /// `layer_types` says nothing new where a family's layers are all alike.
    private func expectUniformLayers(
        _ keys: inout ConfigurationKeys,
        _ model: ModelConfiguration
    ) throws(ModelFileError) {
        guard let types = try keys.texts("layer_types") else { return }
        let expected = (0..<model.layerCount).map {
            model.attention(ofLayer: $0).window == nil ? "full_attention" : "sliding_attention"
        }
        // Transformers' old name.
        let found = types.map { $0 == "attention" ? "full_attention" : $0 }
        guard found == expected else {
            throw keys.refusal(
                "layer_types",
                "\(name) models of \(model.layerCount) layers have \(JSONValue(expected).excerpt)"
            )
        }
    }

    /// The keys of config.json.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if what they would be read as is another model.
    func keys(of model: ModelConfiguration) throws(ModelFileError) -> [String: Any] {
        let keys = spelled(model)
        let read = try reread(keys)
        let difference = ConfigurationDifference.first(
            read,
            model,
            tolerance: 0,
            family: self
        )
        if let difference {
            throw ModelFileError(.unsupported, "config.json of \(name) models: \(difference)")
        }
        return keys
    }

    /// The keys of config.json as far as the family has them.
    func spelled(_ model: ModelConfiguration) -> [String: Any] {
        let traits = huggingFace
        var keys: [String: Any] = [
            "architectures": [traits.className],
            "model_type": traits.modelType,
            "vocab_size": model.vocabularySize,
            "hidden_size": model.hiddenSize,
            "intermediate_size": model.intermediateSize,
            "num_hidden_layers": model.layerCount,
            "num_attention_heads": model.headCount,
            "num_key_value_heads": model.keyValueHeadCount,
            "head_dim": model.headDimension,
            traits.activationKey: model.architecture.activation.huggingFaceName,
            traits.normEpsilonKey: model.normEpsilon.decimal,
            "max_position_embeddings": model.maximumPositions,
            "tie_word_embeddings": model.tiedEmbeddings,
        ]
        keys["bos_token_id"] = model.bosToken
        keys["eos_token_id"] = model.eosTokens.count > 1 ? model.eosTokens : model.eosTokens.first
        keys["pad_token_id"] = model.padToken
        writeRotary(model, into: &keys)
        write(model, into: &keys)
        return keys
    }

    private func reread(_ keys: [String: Any]) throws(ModelFileError) -> ModelConfiguration {
        let place = "config.json"
        let bytes = try HuggingFaceConfiguration.json(keys, name: place)
        guard case .object(let members) = try JSONValue.parse(bytes, path: place, limit: 1 << 18)
        else {
            throw ModelFileError(.malformed, "\(place): no JSON object")
        }
        var read = ConfigurationKeys(JSONObject(members: members, place: place))
        read.ignore(["model_type", "architectures"])
        return try configuration(from: &read)
    }
}

extension ConfigurationKeys {
    /// The linear modules that have biases by `attention_bias` and, where the family has it, by
    /// `mlp_bias`.
    mutating func biasedModules(
        withMLP hasMLPBias: Bool
    ) throws(ModelFileError) -> Set<LinearModule> {
        var modules: Set<LinearModule> = []
        if try flag("attention_bias") == true {
            modules.formUnion([.query, .key, .value, .output])
        }
        if hasMLPBias, try flag("mlp_bias") == true { modules.formUnion([.gate, .up, .down]) }
        return modules
    }
}

extension ModelFamily {
    /// Writes what ``ConfigurationKeys/biasedModules(withMLP:)`` reads.
    func writeBiases(
        _ model: ModelConfiguration,
        into keys: inout [String: Any],
        withMLP hasMLPBias: Bool
    ) {
        keys["attention_bias"] = model.architecture.biasedModules.contains(.query)
        if hasMLPBias { keys["mlp_bias"] = model.architecture.biasedModules.contains(.up) }
    }
}

extension JSONValue {
    init(_ texts: [String]) { self = .list(texts.map { .text($0) }) }
}

extension Float {
    /// The shortest decimal that reads back as this float: 1e-05, not its double expansion.
    var decimal: Double { Double("\(self)") ?? Double(self) }
}

extension Architecture.Activation {
    /// Transformers' name.
    var huggingFaceName: String {
        switch self {
        case .silu: "silu"
        case .gelu: "gelu"
        case .geluTanh: "gelu_pytorch_tanh"
        case .relu: "relu"
        case .reluSquared: "relu2"
        }
    }

    /// - SeeAlso: Hugging Face Transformers, `activations.py`: names of the same functions.
    init?(huggingFaceName name: String) {
        switch name {
        case "silu", "swish": self = .silu
        case "gelu", "gelu_python": self = .gelu
        case "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_new", "gelu_fast", "gelu_accurate":
            self = .geluTanh
        case "relu": self = .relu
        case "relu2": self = .reluSquared
        default: return nil
        }
    }
}
