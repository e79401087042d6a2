internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Keys that config.json leaves out mean what Transformers takes; see `make_config_defaults.py`.
@Suite struct ConfigurationDefaultsTests {
    /// The keys that a file gives, and all of those that Transformers makes of them.
    struct Case: Sendable, CustomTestStringConvertible {
        let given: String
        let made: String

        var testDescription: String { given }
    }

    private static let cases: [Case] = {
        let path = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/config_defaults.json")
        guard let data = try? Data(contentsOf: path),
            let list = try? JSONSerialization.jsonObject(with: data) as? [[String: Any]]
        else { return [] }
        func text(_ object: Any?) -> String? {
            object.flatMap { try? JSONSerialization.data(withJSONObject: $0, options: .sortedKeys) }
                .map { String(decoding: $0, as: UTF8.self) }
        }
        return list.compactMap { root in
            guard let given = text(root["given"]), let made = text(root["made"]) else {
                return nil
            }
            return Case(given: given, made: made)
        }
    }()

    @Test func allFamiliesAreThere() throws {
        let types = try Self.cases.map { try FamilySamples.keys($0.given)["model_type"] as? String }
        #expect(Set(types) == Set(ModelFamilies.all.map(\.huggingFace.modelType)))
    }

    @Test(arguments: cases)
    func whatIsLeftOutIsTransformersDefault(sample: Case) throws {
        let given = try FamilySamples.read(FamilySamples.keys(sample.given))
        let made = try FamilySamples.read(FamilySamples.keys(sample.made))
        #expect(given == made)
    }

    /// Values of keys that all families share and of which one is computed.
    @Test(arguments: [
        ("llama", "add_cross_attention", "true"), ("llama", "is_causal", "false"),
        ("llama", "is_encoder_decoder", "true"), ("llama", "num_experts", "8"),
        ("llama", "num_local_experts", "8"), ("llama", "pruned_heads", #"{"1": [0]}"#),
        ("llama", "rope_interleaved", "true"), ("llama", "sliding_window", "16"),
        ("llama", "use_bidirectional_attention", "true"), ("llama", "use_mrope", "true"),
        ("llama", "use_sliding_window", "true"), ("phi3", "attention_bias", "true"),
        ("qwen2", "attention_bias", "true"), ("qwen3", "mlp_bias", "true"),
        ("gemma2", "mlp_bias", "true"), ("mistral", "mlp_bias", "true"),
    ])
    func otherValuesOfSharedKeysAreRefused(family: String, key: String, json: String) throws {
        let value = try FamilySamples.keys(#"{"value": \#(json)}"#)["value"]
        #expect(FamilySamples.refusal(family, [key: value]).contains("key \(key) is"))
    }

    /// Numbers that are not computed, under their keys.
    @Test(arguments: [
        ("nemotron", #"{"head_dim": 14}"#, "partial_rotary_factor is 0.5, which turns 7 of the 14"),
        (
            "phi3", #"{"head_dim": 20, "partial_rotary_factor": 0.75, "rope_scaling": null}"#,
            "partial_rotary_factor is 0.75, which turns 15 of the 20"
        ),
        (
            "llama",
            """
            {"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
             "high_freq_factor": 4, "original_max_position_embeddings": 8192}}
            """,
            "high_freq_factor is 4.0, not above low_freq_factor"
        ),
        (
            "llama",
            #"{"rope_scaling": {"type": "yarn", "factor": 2, "beta_fast": 1, "beta_slow": 1}}"#,
            "beta_fast is 1.0, not above beta_slow"
        ),
        ("llama", #"{"rope_scaling": {"type": "linear", "factor": -1}}"#, "factor is -1.0"),
        (
            "llama",
            """
            {"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1, 1],
             "long_factor": [1, 2, 3, 4]}}
            """,
            "short_factor is a list of 3; 4 positive numbers are needed"
        ),
        ("mistral", #"{"sliding_window": 0}"#, "key sliding_window is 0"),
        ("phi3", #"{"sliding_window": -1}"#, "key sliding_window is -1"),
        ("gemma2", #"{"sliding_window": 0}"#, "key sliding_window is 0"),
        ("gemma2", #"{"final_logit_softcapping": 0}"#, "key final_logit_softcapping is 0"),
        ("gemma2", #"{"attn_logit_softcapping": -1}"#, "key attn_logit_softcapping is -1"),
        ("gemma3", #"{"final_logit_softcapping": 0}"#, "key final_logit_softcapping is 0"),
        ("gemma3", #"{"query_pre_attn_scalar": 0}"#, "key query_pre_attn_scalar is 0"),
        ("granite", #"{"attention_multiplier": 0}"#, "key attention_multiplier is 0"),
        ("granite", #"{"residual_multiplier": -0.5}"#, "key residual_multiplier is -0.5"),
        ("granite", #"{"logits_scaling": 0}"#, "key logits_scaling is 0"),
        ("llama", #"{"rms_norm_eps": 0}"#, "key rms_norm_eps is 0"),
    ])
    func refusalsNameTheKey(family: String, json: String, what: String) throws {
        let changes = try FamilySamples.keys(json).mapValues { Optional($0) }
        let message = FamilySamples.refusal(family, changes)
        #expect(message.contains(what), "\(message)")
    }
}
