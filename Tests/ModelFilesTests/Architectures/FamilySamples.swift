internal import Foundation
internal import Transformer

@testable internal import ModelFiles

/// config.json as published models have it, cut down to small sizes, and reading it.
enum FamilySamples {
    /// A family's name and its keys.
    static let all: [String: String] = [
        "llama": llama, "mistral": mistral, "qwen2": qwen2, "qwen3": qwen3, "smollm3": smollm3,
        "phi3": phi3, "gemma": gemma, "gemma2": gemma2, "gemma3": gemma3, "olmo2": olmo2,
        "granite": granite, "nemotron": nemotron,
    ]
    static let names = all.keys.sorted()

    /// Reads keys, with some of them replaced or, by nil, removed.
    static func read(
        _ family: String,
        _ changes: [String: Any?] = [:]
    ) throws -> ModelConfiguration {
        var keys = try keys(all[family] ?? "{}")
        for (key, value) in changes { keys[key] = value }
        return try read(keys)
    }

    static func keys(_ json: String) throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] ?? [:]
    }

    static func read(_ keys: [String: Any]) throws -> ModelConfiguration {
        let bytes = try HuggingFaceConfiguration.json(keys, name: "config.json")
        let value = try JSONValue.parse(bytes, path: "config.json", limit: 1 << 16)
        guard case .object(let members) = value else { return try read([:]) }
        var read = ConfigurationKeys(JSONObject(members: members, place: "config.json"))
        return try ModelFamilies.family(of: &read).configuration(from: &read)
    }

    /// The error that reading makes, or an empty text.
    static func refusal(_ family: String, _ changes: [String: Any?]) -> String {
        do {
            _ = try read(family, changes)
            return ""
        } catch {
            return "\(error)"
        }
    }

    private static let llama = #"""
        {"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
         "bos_token_id": 20, "eos_token_id": [21, 22, 23], "head_dim": 8, "hidden_act": "silu",
         "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 64,
         "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
         "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
         "pretraining_tp": 1, "rms_norm_eps": 1e-05,
         "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                          "original_max_position_embeddings": 8192, "rope_type": "llama3"},
         "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
         "transformers_version": "4.45.0.dev0", "use_cache": true, "vocab_size": 48}
        """#

    private static let mistral = #"""
        {"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
         "hidden_act": "silu", "hidden_size": 32, "initializer_range": 0.02,
         "intermediate_size": 64, "max_position_embeddings": 32768, "model_type": "mistral",
         "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
         "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
         "tie_word_embeddings": false, "torch_dtype": "bfloat16",
         "transformers_version": "4.34.0.dev0", "use_cache": true, "vocab_size": 48}
        """#

    private static let qwen2 = #"""
        {"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 20,
         "eos_token_id": 21, "hidden_act": "silu", "hidden_size": 32, "initializer_range": 0.02,
         "intermediate_size": 64, "max_position_embeddings": 32768, "max_window_layers": 21,
         "model_type": "qwen2", "num_attention_heads": 4, "num_hidden_layers": 2,
         "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
         "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
         "transformers_version": "4.43.1", "use_cache": true, "use_mrope": false,
         "use_sliding_window": false, "vocab_size": 48}
        """#

    private static let qwen3 = #"""
        {"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
         "bos_token_id": 20, "eos_token_id": 21, "head_dim": 16, "hidden_act": "silu",
         "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 64,
         "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3",
         "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
         "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
         "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
         "transformers_version": "4.51.0", "use_cache": true, "use_sliding_window": false,
         "vocab_size": 48}
        """#

    private static let smollm3 = #"""
        {"architectures": ["SmolLM3ForCausalLM"], "attention_bias": false,
         "attention_dropout": 0.0, "bos_token_id": 20, "eos_token_id": 21, "pad_token_id": 22,
         "hidden_act": "silu", "hidden_size": 32, "initializer_range": 0.02,
         "intermediate_size": 64, "layer_types": ["full_attention", "full_attention",
         "full_attention", "full_attention", "full_attention"],
         "max_position_embeddings": 65536, "max_window_layers": 28, "mlp_bias": false,
         "model_type": "smollm3", "no_rope_layer_interval": 4,
         "no_rope_layers": [1, 1, 1, 0, 1], "num_attention_heads": 4, "num_hidden_layers": 5,
         "num_key_value_heads": 2, "pretraining_tp": 2, "rms_norm_eps": 1e-06,
         "rope_scaling": null, "rope_theta": 5000000.0, "sliding_window": null,
         "torch_dtype": "bfloat16", "transformers_version": "4.54.0.dev0", "use_cache": false,
         "use_sliding_window": false, "vocab_size": 48}
        """#

    private static let phi3 = #"""
        {"architectures": ["Phi3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
         "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"}, "bos_token_id": 20,
         "embd_pdrop": 0.0, "eos_token_id": 21, "full_attn_mod": 1, "hidden_act": "silu",
         "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": 96,
         "interpolate_factor": 1, "lm_head_bias": false, "max_position_embeddings": 131072,
         "mlp_bias": false, "model_type": "phi3", "num_attention_heads": 4,
         "num_hidden_layers": 2, "num_key_value_heads": 2,
         "original_max_position_embeddings": 4096, "pad_token_id": 21,
         "partial_rotary_factor": 0.75, "resid_pdrop": 0.0, "rms_norm_eps": 1e-05,
         "rope_scaling": {"long_factor": [1, 1.118320672, 1.250641126, 1.398617824, 1.564103225,
                          1.749], "short_factor": [1.0, 1.0, 1.0, 1.0, 1.0, 1.05],
                          "type": "longrope"},
         "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": true,
         "torch_dtype": "bfloat16", "transformers_version": "4.45.0", "use_cache": true,
         "vocab_size": 48}
        """#

    private static let gemma = #"""
        {"architectures": ["GemmaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
         "bos_token_id": 2, "eos_token_id": 1, "head_dim": 16, "hidden_act": "gelu",
         "hidden_activation": null, "hidden_size": 32, "initializer_range": 0.02,
         "intermediate_size": 64, "max_position_embeddings": 8192, "model_type": "gemma",
         "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 1,
         "pad_token_id": 0, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 10000.0,
         "torch_dtype": "bfloat16", "transformers_version": "4.38.0.dev0", "use_cache": true,
         "vocab_size": 48}
        """#

    private static let gemma2 = #"""
        {"architectures": ["Gemma2ForCausalLM"], "attention_bias": false,
         "attention_dropout": 0.0, "attn_logit_softcapping": 50.0, "bos_token_id": 2,
         "cache_implementation": "hybrid", "eos_token_id": [1, 47],
         "final_logit_softcapping": 30.0, "head_dim": 16, "hidden_act": "gelu_pytorch_tanh",
         "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 32, "initializer_range": 0.02,
         "intermediate_size": 64, "max_position_embeddings": 8192, "model_type": "gemma2",
         "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2,
         "pad_token_id": 0, "query_pre_attn_scalar": 16, "rms_norm_eps": 1e-06,
         "rope_theta": 10000.0, "sliding_window": 4096, "torch_dtype": "bfloat16",
         "transformers_version": "4.42.4", "use_cache": true, "vocab_size": 48}
        """#

    private static let gemma3 = #"""
        {"architectures": ["Gemma3ForCausalLM"], "attention_bias": false,
         "attention_dropout": 0.0, "attn_logit_softcapping": null, "bos_token_id": 2,
         "cache_implementation": "hybrid", "eos_token_id": [1, 47],
         "final_logit_softcapping": null, "head_dim": 16, "hidden_activation":
         "gelu_pytorch_tanh", "hidden_size": 32, "initializer_range": 0.02,
         "intermediate_size": 64, "max_position_embeddings": 32768, "model_type": "gemma3_text",
         "num_attention_heads": 4, "num_hidden_layers": 7, "num_key_value_heads": 1,
         "pad_token_id": 0, "query_pre_attn_scalar": 16, "rms_norm_eps": 1e-06,
         "rope_local_base_freq": 10000, "rope_scaling": null, "rope_theta": 1000000,
         "sliding_window": 512, "sliding_window_pattern": 6, "torch_dtype": "bfloat16",
         "transformers_version": "4.50.0.dev0", "use_cache": true, "vocab_size": 48}
        """#

    private static let olmo2 = #"""
        {"architectures": ["Olmo2ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
         "eos_token_id": 21, "hidden_act": "silu", "hidden_size": 32, "initializer_range": 0.02,
         "intermediate_size": 64, "max_position_embeddings": 4096, "model_type": "olmo2",
         "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
         "pad_token_id": 22, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 500000,
         "tie_word_embeddings": false, "torch_dtype": "float32",
         "transformers_version": "4.47.0.dev0", "use_cache": true, "vocab_size": 48}
        """#

    private static let granite = #"""
        {"architectures": ["GraniteForCausalLM"], "attention_bias": false,
         "attention_dropout": 0.1, "attention_multiplier": 0.015625, "bos_token_id": 0,
         "embedding_multiplier": 12.0, "eos_token_id": 0, "hidden_act": "silu",
         "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 64,
         "logits_scaling": 6.0, "max_position_embeddings": 131072, "mlp_bias": false,
         "model_type": "granite", "num_attention_heads": 4, "num_hidden_layers": 2,
         "num_key_value_heads": 2, "pad_token_id": 0, "residual_multiplier": 0.22,
         "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 5000000.0,
         "tie_word_embeddings": true, "torch_dtype": "bfloat16",
         "transformers_version": "4.46.0.dev0", "use_cache": true, "vocab_size": 48}
        """#

    private static let nemotron = #"""
        {"architectures": ["NemotronForCausalLM"], "attention_bias": false,
         "attention_dropout": 0.0, "bos_token_id": 2, "eos_token_id": 3, "head_dim": 16,
         "hidden_act": "relu2", "hidden_dropout": 0.0, "hidden_size": 32,
         "initializer_range": 0.0134, "intermediate_size": 64, "max_position_embeddings": 4096,
         "mlp_bias": false, "model_type": "nemotron", "norm_eps": 1e-05,
         "num_attention_heads": 2, "num_hidden_layers": 2, "num_key_value_heads": 1,
         "partial_rotary_factor": 0.5, "rope_theta": 10000.0, "tie_word_embeddings": false,
         "torch_dtype": "bfloat16", "transformers_version": "4.32.0.dev0", "use_cache": true,
         "vocab_size": 48}
        """#
}
