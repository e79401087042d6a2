internal import Formats
internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// GGUF files of all families, written and read.
@Suite struct FamilyGGUFTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    /// A model of random BF16 values of magnitudes to which 1 can be added without rounding.
    static func model(_ configuration: ModelConfiguration) throws -> LoadedModel {
        let parameters = try Parameters.random(
            configuration: configuration,
            seed: 7,
            deviation: 0.2
        )
        let values = parameters.storage.elements
        for index in values.indices {
            let value = abs(values[index]) < 0.01 ? 0.25 : values[index]
            values[index] = Float(bitPattern: UInt32(HalfPrecision.bfloat(value)) << 16)
        }
        // llama.cpp refuses more tokens than the embedding has rows.
        let tokens = try TinyModel.make().tokenizer.vocabulary
        let tokenizer = try Tokenizer(
            vocabulary: Array(tokens.prefix(configuration.vocabularySize)),
            merges: [],
            addedTokens: [],
            preTokenizer: .gpt2
        )
        return LoadedModel(
            parameters: parameters,
            tokenizer: tokenizer,
            source: .huggingFace,
            storedByteCount: 0,
            tokenizerJSON: nil,
            chatTemplate: nil
        )
    }

    static func write(_ model: LoadedModel, to folder: TemporaryFolder) throws -> String {
        let quantized = QuantizedModel(model: model, stored: [:])
        _ = try quantized.write(to: GGUFWriter(quantized.description, folder: folder.path))
        return folder.path + "/model.gguf"
    }

    /// The first parameter whose bits differ; nil if none does.
    static func difference(_ source: any ModelSource, _ model: LoadedModel) throws -> String? {
        let team = team
        for entry in model.parameters.layout.entries {
            var read = [Float](repeating: 0, count: entry.count)
            try read.withUnsafeMutableBufferPointer {
                try source.read(entry, into: $0, team: team)
            }
            if !model.parameters.elements(of: entry).elementsEqual(read) { return entry.name }
        }
        return nil
    }

    /// Those of the cases that llama.cpp computes.
    static let cases: [FamilyRoundTripTests.Case] = [
        .init("llama"), .init("llama", #"{"attention_bias": true, "mlp_bias": true}"#),
        .init("llama", #"{"rope_scaling": null}"#),
        .init("llama", #"{"rope_scaling": {"type": "linear", "factor": 2.5}}"#),
        .init("llama", #"{"rope_scaling": {"type": "yarn", "factor": 2.5}}"#),
        .init(
            "llama",
            #"{"rope_scaling": {"type": "yarn", "factor": 4, "attention_factor": 1.25}}"#
        ),
        .init(
            "llama",
            """
            {"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1, 1, 1.1],
                              "long_factor": [1, 2, 3, 4]}}
            """
        ),
        .init("mistral"), .init("mistral", #"{"sliding_window": null, "head_dim": 16}"#),
        .init("qwen2"),
        .init(
            "qwen2",
            #"{"use_sliding_window": true, "sliding_window": 16, "max_window_layers": 1}"#
        ),
        .init("qwen3"), .init("smollm3"), .init("phi3"), .init("gemma"), .init("gemma2"),
        .init("gemma3"),
        .init(
            "gemma3",
            #"{"rope_scaling": {"type": "linear", "factor": 8}, "final_logit_softcapping": 20}"#
        ),
        .init("gemma3", #"{"sliding_window_pattern": 3}"#), .init("olmo2"), .init("granite"),
        .init("granite", #"{"attention_bias": true, "mlp_bias": true}"#), .init("nemotron"),
        .init("nemotron", #"{"attention_bias": true, "mlp_bias": true}"#),
    ]

    @Test(arguments: cases)
    func modelsSurviveTheRoundTrip(_ sample: FamilyRoundTripTests.Case) throws {
        let folder = try TemporaryFolder()
        let model = try Self.model(sample.read())
        let source = try ModelLoader.open(path: Self.write(model, to: folder))
        // Numbers of metadata are FP32.
        #expect(
            ConfigurationDifference.first(
                source.configuration,
                model.configuration,
                tolerance: 1e-7,
                family: nil
            ) == nil
        )
        #expect(try Self.difference(source, model) == nil)
    }

    /// What llama.cpp would compute otherwise, and what the message names.
    @Test(arguments: [
        (
            "llama", #"{"hidden_act": "gelu"}"#,
            "hidden_act would be read as \"silu\", but is \"gelu\""
        ),
        ("llama", #"{"rope_scaling": {"type": "dynamic", "factor": 2}}"#, "dynamic"),
        (
            "llama", #"{"rope_scaling": {"type": "yarn", "factor": 2, "truncate": false}}"#,
            "rope_scaling.truncate"
        ),
        (
            "llama", #"{"rope_scaling": {"type": "yarn", "factor": 2, "beta_fast": 16}}"#,
            "rope_scaling.beta_fast"
        ),
        (
            "qwen3",
            """
            {"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
             "high_freq_factor": 4, "original_max_position_embeddings": 8192}}
            """,
            "llama3"
        ),
        ("qwen3", #"{"attention_bias": true}"#, "has no bias"),
        ("smollm3", #"{"no_rope_layers": [0, 1, 1, 1, 1]}"#, "no_rope_layers.0"),
        ("gemma2", #"{"query_pre_attn_scalar": 8}"#, "query_pre_attn_scalar"),
        ("gemma2", #"{"final_logit_softcapping": null}"#, "final_logit_softcapping"),
        ("gemma2", #"{"tie_word_embeddings": false}"#, "the head is the embedding"),
        ("olmo2", #"{"tie_word_embeddings": true}"#, "the head is not the embedding"),
        ("olmo2", #"{"head_dim": 16}"#, "of 32 dimensions together"),
        ("nemotron", #"{"hidden_act": "relu"}"#, "hidden_act would be read as \"relu2\""),
        ("nemotron", #"{"tie_word_embeddings": true}"#, "the head is not the embedding"),
        ("nemotron", #"{"head_dim": 8}"#, "of 32 dimensions together"),
        ("qwen2", #"{"head_dim": 16}"#, "of 32 dimensions together"),
        ("phi3", #"{"head_dim": 32, "rope_scaling": null}"#, "of 64 dimensions together"),
        ("gemma", #"{"attention_bias": true}"#, "has no bias"),
        ("gemma2", #"{"attention_bias": true}"#, "has no bias"),
        ("gemma3", #"{"attention_bias": true}"#, "has no bias"),
        ("olmo2", #"{"attention_bias": true}"#, "has no bias"),
        ("smollm3", #"{"attention_bias": true}"#, "has no bias"),
    ])
    func refusesWhatLlamaCppDoesNotCompute(
        family: String,
        json: String,
        reason: String
    ) throws {
        let configuration = try FamilyRoundTripTests.Case(family, json).read()
        #expect {
            try GGUFExport(configuration)
        } throws: { error in
            let message = "\(error)"
            return message.contains("gguf: llama.cpp's") && message.contains(reason)
        }
    }

    /// What no configuration of these families says, but llama.cpp would not read either.
    @Test(arguments: [("phi3", LinearModule.query), ("qwen2", .output), ("qwen2", .down)])
    func biasesThatLlamaCppDoesNotReadAreRefused(family: String, module: LinearModule) throws {
        var model = try FamilySamples.read(family)
        model.architecture.biasedModules.insert(module)
        #expect {
            try GGUFExport(model)
        } throws: { "\($0)".contains("\(module.suffix) has no bias there") }
    }

    /// Modules that a checkpoint fuses have a name in GGUF, or are refused.
    @Test func fusedModulesHaveNames() throws {
        for family in ModelFamilies.all {
            let names = family.architecture.fusedModules.map { family.gguf.fusedNames[$0.suffix] }
            #expect(names.allSatisfy { $0 != nil }, "\(family.name)")
        }
        var model = try FamilySamples.read("llama")
        model.architecture.fusedModules = [.init(suffix: "mlp.wi", parts: [.gate, .up])]
        #expect {
            try GGUFExport(model)
        } throws: { "\($0)".contains("no tensor is known to hold mlp.wi") }
    }

    /// Keys that a file lacks are llama.cpp's own defaults: `src/models/gemma2.cpp`, `gemma3.cpp`.
    @Test func absentKeysAreLlamaCppsDefaults() throws {
        func read(_ name: String, without keys: String...) throws -> ModelConfiguration {
            let model = try FamilySamples.read(name)
            let family = try #require(ModelFamilies.named(name))
            var values = try GGUFExport(model).metadata.values
            for key in keys { #expect(values.removeValue(forKey: "\(name).\(key)") != nil) }
            let layout = GGUFLayout(model)
            var read = GGUFKeys(values, architecture: name, path: "gguf")
            return try family.configuration(
                from: &read,
                .init(
                    vocabularySize: model.vocabularySize,
                    names: Set(layout.stored.map { layout.place(of: $0.parts[0]).name })
                )
            )
        }
        let gemma3 = try read("gemma3", without: "rope.freq_base_swa")
        #expect(gemma3.localRotary?.theta == 10_000)
        let gemma2 = try read(
            "gemma2",
            without: "attention.sliding_window",
            "attn_logit_softcapping",
            "final_logit_softcapping"
        )
        #expect(gemma2.layerAttention.first?.window == 4096)
        #expect(gemma2.architecture.attentionSoftCap == 50)
        #expect(gemma2.architecture.logitSoftCap == 30)
    }

    @Test func windowsThatLlamaCppLeavesOutAreNoted() throws {
        let notes = try GGUFExport(FamilySamples.read("mistral")).notes
        #expect(notes.count == 1 && notes[0].contains("more than 4096 tokens"))
        #expect(try GGUFExport(FamilySamples.read("gemma2")).notes.isEmpty)
        // llama.cpp 0.3.36: losses of short texts in a long context were off by up to 0.034 nats.
        let longRope = try GGUFExport(FamilySamples.read("phi3")).notes
        #expect(longRope.contains { $0.contains("LongRoPE's factors by the size of its context") })
    }

    /// The names that llama.cpp's loader asks for.
    @Test(arguments: [
        (
            "phi3",
            ["blk.1.attn_qkv.weight", "blk.1.ffn_up.weight", "rope_factors_long.weight"],
            ["blk.1.attn_q.weight", "blk.1.ffn_gate.weight"]
        ),
        (
            "gemma2",
            [
                "blk.0.attn_norm.weight", "blk.0.post_attention_norm.weight",
                "blk.0.ffn_norm.weight", "blk.0.post_ffw_norm.weight",
            ], ["output.weight"]
        ),
        (
            "olmo2",
            [
                "blk.0.attn_q_norm.weight", "blk.0.attn_k_norm.weight", "output.weight",
                "blk.0.post_attention_norm.weight", "blk.0.post_ffw_norm.weight",
            ], ["blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"]
        ),
        (
            "nemotron", ["blk.0.attn_norm.bias", "output_norm.bias", "blk.0.ffn_down.weight"],
            ["blk.0.ffn_gate.weight"]
        ),
        ("qwen2", ["blk.0.attn_q.bias", "blk.0.attn_v.bias"], ["blk.0.attn_output.bias"]),
    ])
    func writesLlamaCppsNames(family: String, present: [String], absent: [String]) throws {
        let folder = try TemporaryFolder()
        let model = try Self.model(FamilySamples.read(family))
        let gguf = try GGUFFile(path: Self.write(model, to: folder))
        for name in present { #expect(gguf.tensors[name] != nil, "\(name)") }
        for name in absent { #expect(gguf.tensors[name] == nil, "\(name)") }
    }

    @Test(arguments: [QuantizationFormat.mxfp4, .nvfp4, .fp8PerTensor])
    func quantizedPartsOfAFusedTensorAreOne(format: QuantizationFormat) throws {
        let folder = try TemporaryFolder()
        let quantized = try QuantizedModel(
            rounding: Self.model(FamilySamples.read("phi3", ["intermediate_size": 128])),
            recipe: .init(defaultFormat: format),
            team: Self.team
        )
        _ = try quantized.write(to: GGUFWriter(quantized.description, folder: folder.path))
        let path = folder.path + "/model.gguf"
        let type: GGUFTensorType =
            format == .mxfp4 ? .mxfp4 : format == .nvfp4 ? .nvfp4 : .f32
        let gguf = try GGUFFile(path: path)
        #expect(gguf.tensors["blk.0.attn_qkv.weight"]?.type == type)
        #expect(gguf.tensors["blk.1.ffn_up.weight"]?.shape == [256, 64])
        #expect(try Self.difference(ModelLoader.open(path: path), quantized.model) == nil)
        var description = quantized.description
        description.formats["model.layers.0.self_attn.q_proj"] = nil
        #expect {
            try GGUFWriter(description, folder: folder.path)
        } throws: { "\($0)".contains("attn_qkv.weight holds model.layers.0.self_attn.q_proj") }
    }

    @Test func normsOfGemmaAreStoredPlusOne() throws {
        let folder = try TemporaryFolder()
        let model = try Self.model(FamilySamples.read("gemma3"))
        let gguf = try GGUFFile(path: Self.write(model, to: folder))
        for (name, parameter) in [
            ("output_norm.weight", "model.norm.weight"),
            ("blk.0.attn_q_norm.weight", "model.layers.0.self_attn.q_norm.weight"),
        ] {
            let tensor = try #require(gguf.tensors[name])
            var first: Float = 0
            withUnsafeMutableBytes(of: &first) {
                $0.copyBytes(from: tensor.bytes.prefix(4))
            }
            let entry = try #require(model.parameters.layout[parameter])
            #expect(first == model.parameters.elements(of: entry)[0] + 1)
        }
    }
}
