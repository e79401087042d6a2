internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Metadata and tensors of GGUF files that others wrote.
@Suite struct GGUFMetadataTests {
    /// Opens the tiny model's file after `change`; its configuration or the error's message.
    private func open(
        _ change: (inout GGUFBuilder) -> Void
    ) throws -> Result<ModelConfiguration, ModelFileError> {
        let folder = try TemporaryFolder()
        var builder = GGUFBuilder.llama(try TinyModel.make())
        change(&builder)
        let path = try folder.write(builder.build(), "model.gguf")
        do {
            return .success(try ModelLoader.open(path: path).configuration)
        } catch let error as ModelFileError {
            return .failure(error)
        }
    }

    private func message(_ change: (inout GGUFBuilder) -> Void) throws -> String {
        guard case .failure(let error) = try open(change) else { return "" }
        return error.message
    }

    /// Keys that change what llama.cpp computes, or that nobody knows.
    @Test(arguments: [
        ("expert_count", 8), ("rope.dimension_count", 8), ("attention.value_length", 8),
        ("vocab_size", 12), ("nonsense", 1), ("attention.clamp_kqv", 8),
    ])
    func refusesKeysByName(key: String, value: Int) throws {
        let message = try message { $0.set("llama.\(key)", value) }
        #expect(message.contains("metadata llama.\(key) is \(value)"), "\(message)")
    }

    @Test(arguments: [
        ("rope.scaling.yarn_beta_fast", Float(16)), ("rope.scaling.attn_factor", 1.5),
        ("rope.scaling.yarn_log_multiplier", 0.5), ("logit_scale", 2),
    ])
    func refusesNumbersByName(key: String, value: Float) throws {
        let message = try message { $0.set("llama.\(key)", value) }
        #expect(message.contains("metadata llama.\(key) is \(value)"), "\(message)")
    }

    @Test func keysThatChangeNothingAreFine() throws {
        let size = try TinyModel.make().configuration.vocabularySize
        let result = try open {
            $0.set("llama.expert_count", 0)
            $0.set("llama.vocab_size", size)
            $0.set("llama.rope.dimension_count", 16)
            $0.set("llama.rope.scaling.type", "none")
            $0.set("llama.rope.scaling.yarn_beta_fast", Float(32))
            $0.set("general.sampling.temp", Float(0.6))
            $0.set("mradermacher.quantized_by", "someone")
        }
        #expect(try result.get().rotary == RotaryEmbedding(theta: 50_000))
    }

    @Test func aFactorWithoutATypeIsLinear() throws {
        let result = try open { $0.set("llama.rope.scaling.factor", Float(4)) }
        #expect(try result.get().rotary.scaling == .linear(factor: 4))
        let none = try open {
            $0.set("llama.rope.scaling.factor", Float(4))
            $0.set("llama.rope.scaling.type", "none")
        }
        #expect(try none.get().rotary.scaling == nil)
        #expect(try message { $0.set("llama.rope.scaling.type", "ntk") }.contains("\"ntk\""))
    }

    @Test func yarnsFactorIsTimesLlamaCpps() throws {
        let result = try open {
            $0.set("llama.rope.scaling.type", "yarn")
            $0.set("llama.rope.scaling.factor", Float(4))
            $0.set("llama.rope.scaling.original_context_length", 32)
            // 1.25 / (0.1 · ln 4 + 1).
            $0.set("llama.rope.scaling.attn_factor", Float(1.25 / 1.1386294361119891))
        }
        guard case .yarn(let yarn) = try result.get().rotary.scaling else {
            Issue.record("no yarn")
            return
        }
        #expect(yarn.attentionFactor == 1.25 && yarn.originalPositions == 32 && yarn.factor == 4)
    }

    @Test func frequencyFactorsAreLlama3sOrAnyOthers() throws {
        func factors(_ values: [Float]) throws -> RotaryEmbedding.Scaling? {
            try open {
                $0.tensor(
                    "rope_freqs.weight",
                    shape: [values.count],
                    type: .f32,
                    bytes: values.flatMap { GGUFBuilder.little($0.bitPattern) }
                )
            }.get().rotary.scaling
        }
        #expect(try factors([Float](repeating: 1, count: 8)) == nil)
        let odd: [Float] = [1, 1, 1, 1.5, 2, 2.5, 3, 4]
        #expect(
            try factors(odd)
                == .longRope(
                    .init(
                        shortFactors: odd.map(Double.init),
                        longFactors: odd.map(Double.init),
                        originalPositions: 128,
                        attentionFactor: 1
                    )
                )
        )
        // θ 50000, 8 frequencies, Llama 3.1's numbers: wavelengths from 2π to 2π · 50000^(7/8).
        let scaling = RotaryEmbedding.Llama3(
            factor: 8,
            lowFrequencyFactor: 1,
            highFrequencyFactor: 4,
            originalPositions: 8192
        )
        let wavelengths = (0..<8).map { 2 * Double.pi * pow(50_000, Double($0) / 8) }
        let values = wavelengths.map { length -> Float in
            if length < 2048 { return 1 }
            if length > 8192 { return 8 }
            let smooth = (8192 / length - 1) / 3
            return Float(1 / ((1 - smooth) / 8 + smooth))
        }
        #expect(try factors(values) == .llama3(scaling))
        let short = try message {
            $0.tensor(
                "rope_freqs.weight",
                shape: [3],
                type: .f32,
                bytes: [UInt8](repeating: 64, count: 12)
            )
        }
        #expect(short.contains("rope_scaling"), "\(short)")
    }

    @Test func refusesTensorsThatNoParameterClaims() throws {
        func add(_ name: String) throws -> String {
            try self.message {
                $0.tensor(name, shape: [4], type: .f32, bytes: [UInt8](repeating: 0, count: 16))
            }
        }
        let sinks = try add("blk.0.attn_sinks.weight")
        #expect(sinks.contains("tensor blk.0.attn_sinks.weight belongs to nothing"))
        #expect(try add("rope_factors_long.weight").contains("rope_factors_long.weight"))
        #expect(try add("blk.0.attn_rot_embd") == "")
        // A bias of one module is read as one of all layers' modules.
        #expect(try add("blk.0.attn_q.bias").contains("blk.0.attn_q.bias"))
    }

    @Test func biasesAreParameters() throws {
        let model = try FamilyGGUFTests.model(
            FamilySamples.read("llama", ["attention_bias": true])
        )
        let folder = try TemporaryFolder()
        let source = try ModelLoader.open(path: FamilyGGUFTests.write(model, to: folder))
        #expect(source.configuration.architecture.biasedModules == [.query, .key, .value, .output])
    }

    @Test(arguments: [("general.type", "adapter"), ("general.architecture", "qwen3moe")])
    func refusesOtherFiles(key: String, value: String) throws {
        let folder = try TemporaryFolder()
        var builder = GGUFBuilder()
        builder.set("general.architecture", key == "general.architecture" ? value : "llama")
        if key != "general.architecture" { builder.set(key, value) }
        builder.tensor(
            "token_embd.weight",
            shape: [2, 4],
            type: .f32,
            bytes: [UInt8](repeating: 0, count: 32)
        )
        let path = try folder.write(builder.build(), "model.gguf")
        #expect {
            try ModelLoader.open(path: path)
        } throws: { "\($0)".contains(value) }
    }
}
