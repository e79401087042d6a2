internal import Foundation
internal import Quantization
internal import Transformer

/// config.json of a Llama model: the keys that are read, and how it is written.
struct HuggingFaceConfiguration {
    let model: ModelConfiguration
    /// `quantization_config`, if any.
    let quantization: [String: Any]?

    init(path: String) throws(ModelFileError) {
        let bytes = try FileSystem.read(path, limit: 1 << 20)
        let root: [String: Any]
        do {
            let value = try JSONSerialization.jsonObject(with: Data(bytes))
            root = value as? [String: Any] ?? [:]
        } catch {
            throw ModelFileError(.malformed, "\(path): not valid JSON")
        }
        let architectures = root["architectures"] as? [String] ?? []
        guard architectures == ["LlamaForCausalLM"] || root["model_type"] as? String == "llama"
        else {
            throw ModelFileError(
                .unsupported,
                "\(path): architectures \(architectures); LlamaForCausalLM is supported"
            )
        }
        for key in ["attention_bias", "mlp_bias"] where root[key] as? Bool == true {
            throw ModelFileError(.unsupported, "\(path): \(key) is not supported")
        }
        func required(_ key: String) throws(ModelFileError) -> Int {
            guard let value = root[key] as? Int else {
                throw ModelFileError(.malformed, "\(path): \(key) is missing or no integer")
            }
            return value
        }
        func optional(_ key: String) throws(ModelFileError) -> Int? {
            guard let value = root[key], !(value is NSNull) else { return nil }
            guard let number = value as? Int else {
                throw ModelFileError(.malformed, "\(path): \(key) is no integer")
            }
            return number
        }
        let heads = try required("num_attention_heads")
        model = ModelConfiguration(
            vocabularySize: try required("vocab_size"),
            hiddenSize: try required("hidden_size"),
            intermediateSize: try required("intermediate_size"),
            layerCount: try required("num_hidden_layers"),
            headCount: heads,
            keyValueHeadCount: try optional("num_key_value_heads") ?? heads,
            headDimension: try optional("head_dim"),
            ropeTheta: Self.ropeTheta(root),
            ropeScaling: try Self.ropeScaling(root, path: path),
            rmsNormEpsilon: Float(root["rms_norm_eps"] as? Double ?? 1e-6),
            maximumPositions: try optional("max_position_embeddings") ?? 2048,
            tiedEmbeddings: root["tie_word_embeddings"] as? Bool ?? false,
            bosToken: root["bos_token_id"] as? Int,
            eosToken: root["eos_token_id"] as? Int
        )
        quantization = root["quantization_config"] as? [String: Any]
        do {
            try model.validate()
        } catch {
            throw ModelFileError(.malformed, "\(path): \(error.message)")
        }
    }

    /// The format that a Quark configuration gives a module; nil if it is not Quark's.
    func quarkFormat(of module: String) -> QuantizationFormat? {
        guard let quantization, quantization["quant_method"] as? String == "quark" else {
            return nil
        }
        let layers = quantization["layer_quant_config"] as? [String: Any]
        // The first pattern that matches, an exact name among them.
        let named = layers?.keys.sorted().first { ModulePattern($0).matches(module) }
        let scheme =
            (named.flatMap { layers?[$0] } ?? quantization["global_quant_config"]) as? [String: Any]
        let weight = scheme?["weight"] as? [String: Any]
        switch weight?["dtype"] as? String {
        case "fp4": return .mxfp4
        case "fp6_e2m3": return .mxfp6E2M3
        case "fp6_e3m2": return .mxfp6E3M2
        default: return nil
        }
    }

    /// Newer files keep the base within `rope_parameters`.
    private static func ropeTheta(_ root: [String: Any]) -> Double {
        let parameters = root["rope_parameters"] as? [String: Any]
        return (root["rope_theta"] ?? parameters?["rope_theta"]) as? Double ?? 10_000
    }

    private static func ropeScaling(
        _ root: [String: Any],
        path: String
    ) throws(ModelFileError) -> ModelConfiguration.RotaryScaling? {
        guard let value = (root["rope_scaling"] ?? root["rope_parameters"]) as? [String: Any] else {
            return nil
        }
        let type = (value["rope_type"] ?? value["type"]) as? String ?? "default"
        if type == "default" {
            return nil
        }
        guard type == "llama3", let factor = value["factor"] as? Double,
            let low = value["low_freq_factor"] as? Double,
            let high = value["high_freq_factor"] as? Double,
            let original = value["original_max_position_embeddings"] as? Int
        else {
            throw ModelFileError(
                .unsupported,
                "\(path): rope_scaling of type \(type); llama3 is supported"
            )
        }
        return .init(
            factor: factor,
            lowFrequencyFactor: low,
            highFrequencyFactor: high,
            originalPositions: original
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
            "rope_theta": model.ropeTheta,
            "rms_norm_eps": Self.decimal(model.rmsNormEpsilon),
            "max_position_embeddings": model.maximumPositions,
            "tie_word_embeddings": model.tiedEmbeddings,
            "attention_bias": false,
            "mlp_bias": false,
            "torch_dtype": dtype,
        ]
        root["bos_token_id"] = model.bosToken
        root["eos_token_id"] = model.eosToken
        root["quantization_config"] = quantization
        if let scaling = model.ropeScaling {
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
