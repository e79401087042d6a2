internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Spellings of the rotary embedding, after Transformers 5's `modeling_rope_utils.py`.
@Suite struct RotaryKeysTests {
    private func rotary(_ changes: [String: Any?]) throws -> RotaryEmbedding {
        var all: [String: Any?] = ["rope_scaling": nil, "max_position_embeddings": 64]
        for (key, value) in changes { all[key] = value }
        return try FamilySamples.read("llama", all).rotary
    }

    private static var llama3: [String: Any] {
        [
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
        ]
    }

    @Test func parametersGoBeforeTheBaseBesideThem() throws {
        let parameters: [String: Any] = ["rope_theta": 20_000.0, "rope_type": "default"]
        #expect(try rotary(["rope_parameters": parameters]).theta == 20_000)
        #expect(try rotary(["rope_parameters": parameters, "rope_theta": nil]).theta == 20_000)
        #expect(try rotary(["rope_theta": nil]).theta == 10_000)
        // A scaling of the older spelling replaces all parameters of the newer one.
        let both = try rotary([
            "rope_parameters": parameters, "rope_scaling": ["type": "linear", "factor": 4.0],
        ])
        #expect(both == RotaryEmbedding(theta: 500_000, scaling: .linear(factor: 4)))
    }

    @Test func emptyAndDefaultScalingsAreNone() throws {
        for scaling in [NSNull(), [String: Any](), ["rope_type": "default"]] as [Any] {
            #expect(try rotary(["rope_scaling": scaling]) == RotaryEmbedding(theta: 500_000))
        }
    }

    @Test func allSpellingsOfOneScalingAreTheSame() throws {
        let expected = RotaryEmbedding.Scaling.llama3(
            .init(
                factor: 8,
                lowFrequencyFactor: 1,
                highFrequencyFactor: 4,
                originalPositions: 32
            )
        )
        #expect(try rotary(["rope_scaling": Self.llama3]).scaling == expected)
        #expect(try rotary(["rope_parameters": Self.llama3]).scaling == expected)
        var old = Self.llama3
        old["type"] = old.removeValue(forKey: "rope_type")
        #expect(try rotary(["rope_scaling": old]).scaling == expected)
        // The length beside the object goes first, and the model's comes last.
        let beside = try rotary([
            "rope_scaling": Self.llama3, "original_max_position_embeddings": 16,
        ])
        guard case .llama3(let scaling) = beside.scaling else {
            Issue.record("no llama3")
            return
        }
        #expect(scaling.originalPositions == 16)
        old["original_max_position_embeddings"] = nil
        guard case .llama3(let last) = try rotary(["rope_scaling": old]).scaling else {
            Issue.record("no llama3")
            return
        }
        #expect(last.originalPositions == 64)
    }

    /// Keys of YaRN beside its factor of 4, and the factor of cosines that Transformers takes.
    @Test(arguments: [
        ([String: Double](), nil), (["attention_factor": 1.25], 1.25),
        // (0.1 · 1.5 · ln 4 + 1) / (0.1 · 0.5 · ln 4 + 1).
        (["mscale": 1.5, "mscale_all_dim": 0.5], 1.1296432507), (["mscale": 1.5], nil),
        (["mscale": 1, "mscale_all_dim": 0], nil),
        (["mscale": 1, "mscale_all_dim": 1, "attention_factor": 2], 2),
    ])
    func readsYarn(keys: [String: Double], expected: Double?) throws {
        let base: [String: Double] = ["factor": 4, "original_max_position_embeddings": 16]
        var scaling: [String: Any] = base.merging(keys) { $1 }
        scaling["type"] = "yarn"
        guard case .yarn(let yarn) = try rotary(["rope_scaling": scaling]).scaling else {
            Issue.record("no yarn")
            return
        }
        #expect(yarn.factor == 4 && yarn.originalPositions == 16)
        #expect(yarn.betaFast == 32 && yarn.betaSlow == 1 && yarn.truncatesBorders)
        if let expected, let factor = yarn.attentionFactor {
            #expect(abs(factor - expected) < 1e-9)
        } else {
            #expect(expected == nil && yarn.attentionFactor == nil)
        }
    }

    @Test func readsYarnsBorders() throws {
        let scaling: [String: Any] = [
            "rope_type": "yarn", "factor": 4, "beta_fast": 2.0, "beta_slow": 0.05,
            "truncate": false,
        ]
        guard case .yarn(let yarn) = try rotary(["rope_scaling": scaling]).scaling else {
            Issue.record("no yarn")
            return
        }
        #expect(yarn.betaFast == 2 && yarn.betaSlow == 0.05 && !yarn.truncatesBorders)
        #expect(yarn.originalPositions == 64)
    }

    @Test func dynamicScalingBeginsAtTheModelsLength() throws {
        let scaling: [String: Any] = ["type": "dynamic", "factor": 4.0]
        #expect(
            try rotary(["rope_scaling": scaling]).scaling
                == .dynamic(factor: 4, originalPositions: 64)
        )
        let other = scaling.merging(["original_max_position_embeddings": 32]) { $1 }
        let message = FamilySamples.refusal(
            "llama",
            ["rope_scaling": other, "max_position_embeddings": 64]
        )
        #expect(message.contains("rope_scaling: key original_max_position_embeddings is 32"))
    }

    @Test(
        arguments: [
            (["type": "su", "factor": 4.0], "rope_type is \"su\""),
            (["rope_type": "llama3", "factor": 8.0], "low_freq_factor is missing"),
            (["rope_type": "linear"], "factor is missing"),
            (["rope_type": "linear", "factor": 2.0, "mrope_section": [1]], "key mrope_section"),
            (["rope_type": "longrope", "short_factor": [1], "long_factor": [1]], "rope_scaling"),
            (["rope_type": "default", "factor": 2.0], "key factor is 2"),
            (
                ["rope_type": "default", "partial_rotary_factor": 0.5],
                "partial_rotary_factor is 0.5"
            ),
        ] as [([String: any Sendable], String)]
    )
    func refusesWhatIsNotComputed(scaling: [String: any Sendable], reason: String) {
        let message = FamilySamples.refusal("llama", ["rope_scaling": scaling])
        #expect(message.contains(reason), "\(message)")
    }

    @Test func phi3HasItsOwnNames() throws {
        let factors = [Double](repeating: 1, count: 6)
        for name in ["su", "yarn", "longrope"] {
            let scaling: [String: Any] = [
                "type": name, "short_factor": factors, "long_factor": factors,
            ]
            let model = try FamilySamples.read("phi3", ["rope_scaling": scaling])
            guard case .longRope = model.rotary.scaling else {
                Issue.record("\(name)")
                return
            }
        }
    }
}
