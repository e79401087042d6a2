internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

@Suite struct FamilyRoundTripTests {
    /// A family's sample with changes of its keys.
    struct Case: Sendable, CustomTestStringConvertible {
        let family: String
        let json: String

        init(_ family: String, _ json: String = "{}") {
            (self.family, self.json) = (family, json)
        }

        var testDescription: String { family + json }

        func read() throws -> ModelConfiguration {
            try FamilySamples.read(family, FamilySamples.keys(json))
        }
    }

    static let cases: [Case] =
        FamilySamples.names.map { Case($0) } + [
            Case("llama", #"{"attention_bias": true}"#), Case("llama", #"{"mlp_bias": true}"#),
            Case("llama", #"{"hidden_act": "gelu"}"#), Case("llama", #"{"hidden_act": "relu"}"#),
            Case("llama", #"{"rope_scaling": {"type": "linear", "factor": 2.5}}"#),
            Case("llama", #"{"rope_scaling": {"type": "dynamic", "factor": 2.5}}"#),
            Case("llama", #"{"rope_scaling": {"type": "yarn", "factor": 2.5}}"#),
            Case(
                "llama",
                """
                {"rope_scaling": {"type": "yarn", "factor": 2.5, "mscale": 0.7, "truncate": false,
                                  "mscale_all_dim": 0.3, "beta_fast": 8, "beta_slow": 0.5}}
                """
            ),
            Case(
                "llama",
                """
                {"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1, 1, 1.1],
                                  "long_factor": [1, 2, 3, 4], "attention_factor": 1.5}}
                """
            ),
            Case("mistral", #"{"sliding_window": null}"#),
            Case(
                "qwen2",
                #"{"use_sliding_window": true, "sliding_window": 16, "max_window_layers": 1}"#
            ),
            Case(
                "qwen3",
                """
                {"use_sliding_window": true, "sliding_window": 16, "attention_bias": true,
                 "layer_types": ["sliding_attention", "full_attention"]}
                """
            ),
            Case(
                "smollm3",
                """
                {"use_sliding_window": true, "sliding_window": 16, "no_rope_layers": [0, 1, 0, 1, 1],
                 "layer_types": null, "mlp_bias": true}
                """
            ),
            Case("phi3", #"{"rope_scaling": null, "sliding_window": null}"#),
            Case(
                "gemma2",
                """
                {"attn_logit_softcapping": null, "final_logit_softcapping": 12.5,
                 "query_pre_attn_scalar": 144,
                 "layer_types": ["full_attention", "full_attention", "sliding_attention"]}
                """
            ),
            Case(
                "gemma3",
                """
                {"rope_scaling": {"type": "linear", "factor": 8}, "sliding_window_pattern": 3,
                 "final_logit_softcapping": 20, "tie_word_embeddings": false}
                """
            ),
            Case(
                "gemma3",
                """
                {"rope_parameters": {
                    "full_attention": {"rope_type": "yarn", "factor": 4, "rope_theta": 5e5},
                    "sliding_attention": {"rope_type": "linear", "factor": 2}}}
                """
            ),
            Case("granite", #"{"logits_scaling": 10, "attention_bias": true, "mlp_bias": true}"#),
            Case("nemotron", #"{"attention_bias": true, "mlp_bias": true, "hidden_act": "relu"}"#),
        ]

    /// `keys(of:)` throws if the keys are read as another model.
    @Test(arguments: cases)
    func keysSayTheSameModel(_ sample: Case) throws {
        let model = try sample.read()
        let family = try #require(ModelFamilies.named(model.architecture.family))
        let keys = try family.keys(of: model)
        #expect(try FamilySamples.read(keys) == model)
    }

    @Test func casesCoverAllFieldsOfArchitectures() throws {
        let models = try Self.cases.map { try $0.read() }
        let plain = Architecture.llama
        func isCovered<Value: Equatable>(_ field: (Architecture) -> Value) -> Bool {
            models.contains { field($0.architecture) != field(plain) }
        }
        #expect(Set(models.map(\.architecture.family)).count == ModelFamilies.all.count)
        #expect(isCovered(\.activation) && isCovered(\.hasGate) && isCovered(\.norm))
        #expect(isCovered(\.normPlacement) && isCovered(\.queryKeyNorm))
        #expect(isCovered(\.biasedModules) && isCovered(\.fusedModules))
        #expect(isCovered(\.embeddingMultiplier) && isCovered(\.residualMultiplier))
        #expect(isCovered(\.attentionScale) && isCovered(\.attentionSoftCap))
        #expect(isCovered(\.logitMultiplier) && isCovered(\.logitSoftCap))
        let fields = Mirror(reflecting: plain).children.compactMap(\.label)
        #expect(fields.count == 14, "a new field of Architecture: cover it here")
    }

    @Test func keysOfWhatAFamilyCannotSayAreRefused() throws {
        var model = try FamilySamples.read("llama")
        model.architecture.logitSoftCap = 30
        let family = LlamaFamily()
        #expect {
            try family.keys(of: model)
        } throws: { "\($0)".contains("logit soft cap would be read as none, but is 30") }
        model = try FamilySamples.read("mistral")
        model.layerAttention[1].window = nil
        #expect {
            try MistralFamily().keys(of: model)
        } throws: { "\($0)".contains("attention 1 window would be read as 4096, but is none") }
    }
}
