internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

@Suite struct ConfigurationKeysTests {
    @Test(arguments: FamilySamples.names)
    func refusesKeysThatNobodyKnows(family: String) {
        let message = FamilySamples.refusal(family, ["nonsense_factor": 3])
        #expect(message.contains("config.json: key nonsense_factor is 3"))
        #expect(FamilySamples.refusal(family, ["nonsense_factor": NSNull()]) == "")
    }

    /// A family, a key, a value that is not computed, and what stands in the message beside the key.
    @Test(arguments: [
        ("llama", "hidden_act", "\"swish_glu\"", "silu, gelu, gelu_pytorch_tanh, relu, relu2"),
        ("llama", "partial_rotary_factor", "0.5", "all dimensions turn"),
        ("llama", "sliding_window", "4096", "only null"),
        ("llama", "layer_types", "[\"sliding_attention\", \"full_attention\"]", "full_attention"),
        ("llama", "quantization", "{\"bits\": 4}", "does not know"),
        ("mistral", "attention_bias", "true", "only false"),
        ("mistral", "mlp_bias", "true", "only false"),
        ("qwen2", "use_mrope", "true", "only false"),
        ("qwen2", "dual_chunk_attention_config", "{\"chunk_size\": 8}", "does not know"),
        ("qwen2", "layer_types", "[\"linear_attention\", \"full_attention\"]", "linear_attention"),
        ("gemma2", "use_bidirectional_attention", "true", "only false"),
        ("gemma2", "hidden_act", "\"silu\"", "gelu_pytorch_tanh is computed"),
        ("gemma3", "attn_logit_softcapping", "50.0", "only null"),
        ("gemma3", "vision_config", "{}", "more than text"),
        ("phi3", "lm_head_bias", "true", "only false"),
        ("olmo2", "mlp_bias", "true", "only false"),
        ("granite", "num_local_experts", "8", "only 0"),
        ("llama", "architectures", "[\"LlamaForSequenceClassification\"]", "LlamaForCausalLM"),
        ("llama", "model_type", "\"mixtral\"", "mixtures of experts"),
        ("llama", "model_type", "\"qwen3_moe\"", "mixtures of experts"),
        ("llama", "model_type", "\"bert\"", "supported are llama, mistral"),
    ])
    func refusesValuesByName(family: String, key: String, json: String, reason: String) throws {
        let value = try JSONSerialization.jsonObject(
            with: Data(json.utf8),
            options: .fragmentsAllowed
        )
        let message = FamilySamples.refusal(family, [key: value])
        #expect(message.contains("key \(key) "), "\(message)")
        #expect(message.contains(reason), "\(message)")
    }

    /// A key that has to be there or in range.
    @Test(arguments: [
        ("vocab_size", "null"), ("hidden_size", "null"), ("num_hidden_layers", "0"),
        ("num_attention_heads", "\"4\""), ("head_dim", "7"), ("rms_norm_eps", "-1"),
        ("eos_token_id", "48"), ("bos_token_id", "400"), ("num_key_value_heads", "3"),
        ("rope_theta", "0"), ("num_hidden_layers", "5000000000"),
    ])
    func malformedValuesAreErrors(key: String, json: String) throws {
        let value = try JSONSerialization.jsonObject(
            with: Data(json.utf8),
            options: .fragmentsAllowed
        )
        let message = FamilySamples.refusal("llama", [key: value])
        #expect(message.hasPrefix("config.json: "), "\(message)")
    }

    @Test func negativeTokensStandForNone() throws {
        let model = try FamilySamples.read("llama", ["pad_token_id": -1, "bos_token_id": -1])
        #expect(model.padToken == nil && model.bosToken == nil)
    }

    @Test func generationTokensGoFirst() throws {
        let folder = try TemporaryFolder()
        let keys = try FamilySamples.keys(FamilySamples.all["gemma2"] ?? "")
        let path = try folder.write(
            try HuggingFaceConfiguration.json(keys, name: "config.json"),
            "config.json"
        )
        #expect(try HuggingFaceConfiguration(path: path).model.eosTokens == [1, 47])
        let generation = #"{"eos_token_id": [5, 6], "pad_token_id": 7, "temperature": 0.6}"#
        _ = try folder.write(Array(generation.utf8), "generation_config.json")
        let model = try HuggingFaceConfiguration(path: path).model
        #expect(model.eosTokens == [5, 6] && model.padToken == 7 && model.bosToken == 2)
        _ = try folder.write(Array(#"{"eos_token_id": 48}"#.utf8), "generation_config.json")
        #expect(throws: ModelFileError.self) { try HuggingFaceConfiguration(path: path) }
    }
}
