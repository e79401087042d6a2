internal import Formats
internal import JobInputs
internal import Testing

@testable internal import JobSpecs

/// Low-rank adapters in job files.
@Suite struct LowRankSpecTests {
    private static func job(_ members: String, quantization: String = "") throws -> ParsedJob {
        let json = """
            {"model": "m", "quantization": {"algorithm": "fp4"\(quantization)}, "data": {"train": ["t"]},
             \(members)}
            """
        return try ParsedJob(kind: "train", json: Array(json.utf8))
    }

    private static func spec(_ members: String, quantization: String = "") throws -> TrainSpec {
        guard case .train(let spec) = try job(members, quantization: quantization).spec else {
            throw JobSpecError(.invalidSpec, "not a training job")
        }
        return spec
    }

    private static func refusal(_ members: String, quantization: String = "") -> String {
        let error = #expect(throws: JobSpecError.self) {
            try job(members, quantization: quantization)
        }
        return error?.description ?? ""
    }

    @Test func keysArePEFTs() throws {
        #expect(try Self.spec(#""seed": 1"#).lora == nil)
        let usual = try #require(try Self.spec(#""lora": {}"#).lora)
        #expect(usual.rank == 8 && usual.scale == 1)
        #expect(usual.isTarget("model.layers.3.mlp.down_proj"))
        let said = try #require(
            try Self.spec(
                #""lora": {"r": 16, "lora_alpha": 64, "target_modules": ["q_proj", "*mlp*"], "lora_dropout": 0}"#
            ).lora
        )
        #expect(said.scale == 4)
        #expect(said.isTarget("model.layers.0.self_attn.q_proj"))
        #expect(said.isTarget("model.layers.0.mlp.up_proj"))
        #expect(!said.isTarget("model.layers.0.self_attn.k_proj"))
        let stable = try #require(
            try Self.spec(#""lora": {"r": 16, "lora_alpha": 8, "use_rslora": true}"#).lora
        )
        #expect(stable.scale == 2)
    }

    /// The end of a name means a whole part of it.
    @Test func plainPatternsNameTheEnd() {
        let name = "model.layers.0.self_attn.q_proj"
        #expect(LowRankOptions.names("self_attn.q_proj", name))
        #expect(!LowRankOptions.names("proj", name))
        #expect(!LowRankOptions.names("re:q_proj", name))
        #expect(LowRankOptions.names("re:.*q_proj", name))
    }

    /// With adapters no parameter is trained: nothing else needs to be said to be frozen.
    @Test func frozenIsRefusedBesideAdapters() throws {
        #expect(try Self.spec(#""lora": {}, "distillation": {}"#).frozen.isEmpty)
        #expect(
            Self.refusal(#""lora": {}, "frozen": ["*norm*"]"#).contains("$.frozen")
        )
    }

    @Test func whatMakesNoSenseIsRefusedByName() {
        #expect(
            Self.refusal(#""lora": {"lora_dropout": 0.1}"#)
                .contains("adapter and base are rounded as one weight")
        )
        #expect(Self.refusal(#""lora": {"r": 0}"#).contains("$.lora.r"))
        #expect(
            Self.refusal(#""lora": {}"#, quantization: #", "scales": "learned""#)
                .contains("$.quantization.scales")
        )
    }

    @Test func othersNamesAreUnderstood() {
        #expect(Self.refusal(#""lora": {"lora_r": 8}"#).contains(#"did you mean "r"?"#))
        #expect(Self.refusal(#""peft": {}"#).contains(#"did you mean "lora"?"#))
        #expect(
            Self.refusal(#""lora": {"alpha": 8}"#).contains(#"did you mean "lora_alpha"?"#)
        )
    }

    /// Without weights or scales of another's, adapters are added to the model as it came.
    @Test func baseIsTheModelWhereNothingIsFoundBefore() throws {
        #expect(try Self.spec(#""lora": {}"#).sharesBase)
        #expect(try !Self.spec(#""lora": {}, "start": "awq+gptq""#).sharesBase)
        #expect(try !Self.spec(#""lora": {}"#, quantization: #", "method": "mse""#).sharesBase)
        #expect(try !Self.spec(#""seed": 1"#).sharesBase)
    }
}
