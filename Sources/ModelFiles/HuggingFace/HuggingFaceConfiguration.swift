internal import Foundation
internal import Transformer

/// config.json of a Llama model: the keys that are read, and how it is written.
struct HuggingFaceConfiguration {
    let model: ModelConfiguration
    /// All keys.
    let object: JSONObject

    init(path: String) throws(ModelFileError) {
        let root = try JSONValue.object(path: path, byteLimit: 8 << 20, limit: 1 << 18)
        object = root
        let architectures = try root.texts("architectures") ?? []
        let type = try root.text("model_type")
        guard architectures == ["LlamaForCausalLM"] || type == "llama" else {
            throw ModelFileError(
                .unsupported,
                "\(path): architectures \(architectures); LlamaForCausalLM is supported"
            )
        }
        for key in ["attention_bias", "mlp_bias"] where try root.flag(key) == true {
            throw ModelFileError(.unsupported, "\(path): \(key) is not supported")
        }
        func required(_ key: String) throws(ModelFileError) -> Int {
            guard let value = try root.integer(key) else {
                throw ModelFileError(.malformed, "\(path): \(key) is missing")
            }
            return value
        }
        let heads = try required("num_attention_heads")
        model = ModelConfiguration(
            vocabularySize: try required("vocab_size"),
            hiddenSize: try required("hidden_size"),
            intermediateSize: try required("intermediate_size"),
            layerCount: try required("num_hidden_layers"),
            headCount: heads,
            keyValueHeadCount: try root.integer("num_key_value_heads") ?? heads,
            headDimension: try root.integer("head_dim"),
            rotary: RotaryEmbedding(
                theta: try Self.ropeTheta(root),
                scaling: try Self.ropeScaling(root, path: path)
            ),
            normEpsilon: Float(try root.number("rms_norm_eps") ?? 1e-6),
            maximumPositions: try root.integer("max_position_embeddings") ?? 2048,
            tiedEmbeddings: try root.flag("tie_word_embeddings") ?? false,
            bosToken: try Self.token(root, "bos_token_id"),
            eosTokens: try Self.token(root, "eos_token_id").map { [$0] } ?? []
        )
        do {
            try model.validate()
        } catch {
            throw ModelFileError(.malformed, "\(path): \(error.message)")
        }
    }

    /// A token, or none of several.
    private static func token(_ root: JSONObject, _ key: String) throws(ModelFileError) -> Int? {
        if case .list = root[key] { return nil }
        return try root.integer(key)
    }

    /// Newer files keep the base within `rope_parameters`.
    private static func ropeTheta(_ root: JSONObject) throws(ModelFileError) -> Double {
        if let theta = try root.number("rope_theta") { return theta }
        return try root.object("rope_parameters")?.number("rope_theta") ?? 10_000
    }

    private static func ropeScaling(
        _ root: JSONObject,
        path: String
    ) throws(ModelFileError) -> RotaryEmbedding.Scaling? {
        let (older, newer) = (try root.object("rope_scaling"), try root.object("rope_parameters"))
        guard let value = older ?? newer else {
            return nil
        }
        let types = (try value.text("rope_type"), try value.text("type"))
        let type = types.0 ?? types.1 ?? "default"
        if type == "default" {
            return nil
        }
        guard type == "llama3", let factor = try value.number("factor"),
            let low = try value.number("low_freq_factor"),
            let high = try value.number("high_freq_factor"),
            let original = try value.integer("original_max_position_embeddings")
        else {
            throw ModelFileError(
                .unsupported,
                "\(path): rope_scaling of type \(type); llama3 with its four numbers is supported"
            )
        }
        return .llama3(
            .init(
                factor: factor,
                lowFrequencyFactor: low,
                highFrequencyFactor: high,
                originalPositions: original
            )
        )
    }

    /// config.json of a model, with `quantization` unless nil.
    static func render(
        _ model: ModelConfiguration,
        dtype: String,
        quantization: [String: Any]?
    ) throws(ModelFileError) -> [UInt8] {
        var root: [String: Any] = [
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": model.vocabularySize,
            "hidden_size": model.hiddenSize,
            "intermediate_size": model.intermediateSize,
            "num_hidden_layers": model.layerCount,
            "num_attention_heads": model.headCount,
            "num_key_value_heads": model.keyValueHeadCount,
            "head_dim": model.headDimension,
            "hidden_act": "silu",
            "rope_theta": model.rotary.theta,
            "rms_norm_eps": Self.decimal(model.normEpsilon),
            "max_position_embeddings": model.maximumPositions,
            "tie_word_embeddings": model.tiedEmbeddings,
            "attention_bias": false,
            "mlp_bias": false,
            "torch_dtype": dtype,
        ]
        root["bos_token_id"] = model.bosToken
        root["eos_token_id"] = model.eosTokens.first
        root["quantization_config"] = quantization
        if case .llama3(let scaling) = model.rotary.scaling {
            root["rope_scaling"] =
                [
                    "rope_type": "llama3", "factor": scaling.factor,
                    "low_freq_factor": scaling.lowFrequencyFactor,
                    "high_freq_factor": scaling.highFrequencyFactor,
                    "original_max_position_embeddings": scaling.originalPositions,
                ] as [String: Any]
        }
        return try json(root, name: "config.json")
    }

    static func json(_ root: [String: Any], name: String) throws(ModelFileError) -> [UInt8] {
        do {
            let options: JSONSerialization.WritingOptions = [
                .prettyPrinted, .sortedKeys, .withoutEscapingSlashes,
            ]
            return [UInt8](try JSONSerialization.data(withJSONObject: root, options: options))
        } catch {
            throw ModelFileError(.inputOutput, "\(name) cannot be written: \(error)")
        }
    }

    /// The shortest decimal that reads back as this float: 1e-05, not its double expansion.
    private static func decimal(_ value: Float) -> Double {
        Double("\(value)") ?? Double(value)
    }
}
