internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

@Suite struct FamilyConfigurationTests {
    @Test func readsLlama() throws {
        let model = try FamilySamples.read("llama")
        #expect(model.architecture == .llama)
        #expect(model.headDimension == 8 && model.keyValueHeadCount == 2)
        #expect(model.normEpsilon == 1e-5 && model.maximumPositions == 131_072)
        #expect(model.rotary.theta == 500_000)
        #expect(
            model.rotary.scaling
                == .llama3(
                    .init(
                        factor: 32,
                        lowFrequencyFactor: 1,
                        highFrequencyFactor: 4,
                        originalPositions: 8192
                    )
                )
        )
        #expect(model.tiedEmbeddings && model.bosToken == 20 && model.eosTokens == [21, 22, 23])
        #expect(model.padToken == nil && model.layerAttention.isEmpty && model.localRotary == nil)
        let biased = try FamilySamples.read("llama", ["attention_bias": true, "mlp_bias": true])
        #expect(biased.architecture.biasedModules == Set(LinearModule.allCases))
    }

    @Test func readsMistral() throws {
        let model = try FamilySamples.read("mistral")
        #expect(model.layerAttention == [.init(window: 4096), .init(window: 4096)])
        #expect(model.headDimension == 8 && model.normEpsilon == 1e-5)
        // Null turns the window off; a missing key leaves Transformers' default.
        #expect(
            try FamilySamples.read("mistral", ["sliding_window": NSNull()]).layerAttention == []
        )
        let absent = try FamilySamples.read("mistral", ["sliding_window": nil])
        #expect(absent.layerAttention.first?.window == 4096)
        let nemo = try FamilySamples.read(
            "mistral",
            ["sliding_window": NSNull(), "head_dim": 16, "rope_theta": 1e6]
        )
        #expect(nemo.queryWidth == 64 && nemo.hiddenSize == 32 && nemo.rotary.theta == 1e6)
    }

    @Test func readsQwen() throws {
        let model = try FamilySamples.read("qwen2")
        #expect(model.architecture.biasedModules == [.query, .key, .value])
        #expect(model.layerAttention.isEmpty)
        let windows = try FamilySamples.read(
            "qwen2",
            ["use_sliding_window": true, "sliding_window": 16, "max_window_layers": 1]
        )
        #expect(windows.layerAttention == [.init(), .init(window: 16)])
        let types = try FamilySamples.read(
            "qwen2",
            [
                "use_sliding_window": true, "sliding_window": 16,
                "layer_types": ["sliding_attention", "full_attention"],
            ]
        )
        #expect(types.layerAttention == [.init(window: 16), .init()])
        let qwen3 = try FamilySamples.read("qwen3")
        #expect(qwen3.architecture.queryKeyNorm == .perHead)
        #expect(qwen3.architecture.biasedModules.isEmpty && qwen3.headDimension == 16)
        #expect(try FamilySamples.read("qwen3", ["head_dim": nil]).headDimension == 128)
    }

    @Test func readsSmolLM3() throws {
        let model = try FamilySamples.read("smollm3")
        let rotations = model.layerAttention.map(\.rotation)
        #expect(rotations == [.global, .global, .global, .none, .global])
        #expect(model.tiedEmbeddings && model.padToken == 22 && model.rotary.theta == 5e6)
        let interval = try FamilySamples.read(
            "smollm3",
            ["no_rope_layers": nil, "no_rope_layer_interval": 2]
        )
        #expect(
            interval.layerAttention.map { $0.rotation == .none } == [
                false, true, false, true, false,
            ]
        )
        let windows = try FamilySamples.read(
            "smollm3",
            ["use_sliding_window": true, "sliding_window": 8, "layer_types": nil]
        )
        #expect(windows.layerAttention.map(\.window) == [nil, nil, nil, 8, nil])
    }

    @Test func readsPhi3() throws {
        let model = try FamilySamples.read("phi3")
        #expect(
            model.architecture.fusedModules.map(\.suffix) == [
                "self_attn.qkv_proj", "mlp.gate_up_proj",
            ]
        )
        // 0.75 · 16.
        #expect(model.rotary.dimension == 12)
        guard case .longRope(let scaling) = model.rotary.scaling else {
            Issue.record("no longrope")
            return
        }
        #expect(scaling.shortFactors == [1, 1, 1, 1, 1, 1.05] && scaling.longFactors.count == 6)
        #expect(scaling.originalPositions == 4096)
        // √(1 + ln 32 / ln 4096) = √(17 / 12).
        #expect(abs(scaling.attentionFactor - (17.0 / 12).squareRoot()) < 1e-15)
        #expect(model.layerAttention.allSatisfy { $0.window == 262_144 })
        let plain = try FamilySamples.read(
            "phi3",
            [
                "rope_scaling": NSNull(), "partial_rotary_factor": nil,
                "sliding_window": NSNull(),
            ]
        )
        #expect(plain.rotary == RotaryEmbedding() && plain.layerAttention.isEmpty)
    }

    @Test func readsGemma() throws {
        let model = try FamilySamples.read("gemma")
        let architecture = model.architecture
        // Its first files call the approximation gelu.
        #expect(architecture.activation == .geluTanh && architecture.norm == .rmsOnePlus)
        #expect(architecture.embeddingMultiplier == Float(32).squareRoot())
        #expect(architecture.attentionScale == nil && model.tiedEmbeddings)
        let gemma2 = try FamilySamples.read("gemma2")
        #expect(gemma2.architecture.normPlacement == .beforeAndAfter)
        #expect(gemma2.architecture.attentionScale == 0.25)
        #expect(gemma2.architecture.attentionSoftCap == 50)
        #expect(gemma2.architecture.logitSoftCap == 30)
        #expect(gemma2.layerAttention.map(\.window) == [4096, nil, 4096])
        #expect(gemma2.eosTokens == [1, 47] && gemma2.padToken == 0)
        let uncapped = try FamilySamples.read(
            "gemma2",
            ["attn_logit_softcapping": NSNull(), "final_logit_softcapping": nil]
        )
        #expect(uncapped.architecture.attentionSoftCap == nil)
        #expect(uncapped.architecture.logitSoftCap == 30)
    }

    @Test func readsGemma3() throws {
        let model = try FamilySamples.read("gemma3")
        #expect(model.architecture.queryKeyNorm == .perHead)
        #expect(model.architecture.logitSoftCap == nil)
        #expect(model.rotary.theta == 1e6 && model.localRotary == RotaryEmbedding(theta: 10_000))
        let local = LayerAttention(window: 512, rotation: .local)
        #expect(model.layerAttention == [local, local, local, local, local, .init(), local])
        let scaled = try FamilySamples.read(
            "gemma3",
            ["rope_scaling": ["rope_type": "linear", "factor": 8.0]]
        )
        #expect(scaled.rotary.scaling == .linear(factor: 8))
        #expect(scaled.localRotary?.scaling == nil)
        let newer = try FamilySamples.read(
            "gemma3",
            [
                "rope_scaling": nil, "rope_theta": nil, "rope_local_base_freq": nil,
                "rope_parameters": [
                    "full_attention": ["rope_type": "linear", "factor": 8.0, "rope_theta": 1e6],
                    "sliding_attention": ["rope_type": "default", "rope_theta": 10_000.0],
                ],
            ]
        )
        #expect(newer == scaled)
    }

    @Test func readsOLMo2GraniteAndNemotron() throws {
        let olmo2 = try FamilySamples.read("olmo2")
        #expect(olmo2.architecture.normPlacement == .after)
        #expect(olmo2.architecture.queryKeyNorm == .fullWidth && olmo2.bosToken == nil)
        #expect(try FamilySamples.read("olmo2", ["rms_norm_eps": nil]).normEpsilon == 1e-5)
        let granite = try FamilySamples.read("granite").architecture
        #expect(granite.embeddingMultiplier == 12 && granite.residualMultiplier == 0.22)
        #expect(granite.attentionScale == 0.015625 && granite.logitMultiplier == 1 / Float(6))
        let nemotron = try FamilySamples.read("nemotron")
        #expect(nemotron.architecture.activation == .reluSquared && !nemotron.architecture.hasGate)
        #expect(nemotron.architecture.norm == .layerOnePlus && nemotron.rotary.dimension == 8)
        #expect(
            try FamilySamples.read("nemotron", ["partial_rotary_factor": nil]).rotary.dimension == 8
        )
    }

    @Test(arguments: [
        ("silu", Architecture.Activation.silu), ("swish", .silu), ("gelu", .gelu),
        ("gelu_pytorch_tanh", .geluTanh), ("gelu_new", .geluTanh), ("relu", .relu),
        ("relu2", .reluSquared),
    ])
    func readsActivations(name: String, activation: Architecture.Activation) throws {
        let model = try FamilySamples.read("llama", ["hidden_act": name])
        #expect(model.architecture.activation == activation)
    }
}
