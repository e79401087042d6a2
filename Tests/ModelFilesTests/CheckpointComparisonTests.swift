internal import Formats
internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// What a checkpoint lost against its source is told apart from what is wrong.
struct CheckpointComparisonTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    private func compare(
        _ write: (String) throws -> Void,
        tied: Bool = true,
        change: (String) throws -> Void = { _ in }
    ) throws -> [String: TensorComparison] {
        let folder = try TemporaryFolder()
        try LintSample.export(nil, as: .f32, to: folder.path + "/source", tied: tied)
        try write(folder.path + "/made")
        try change(folder.path + "/made")
        var seen: [TensorComparison] = []
        let comparisons = try CheckpointComparison.compare(
            path: folder.path + "/made",
            source: folder.path + "/source",
            team: Self.team
        ) { seen.append($0) }
        #expect(seen == comparisons)
        return Dictionary(uniqueKeysWithValues: comparisons.map { ($0.name, $0) })
    }

    private static let samples: [LintSample] = [
        .compressedMXFP4, .compressedNVFP4, .compressedMXFP8, .compressedMixed, .modeloptNVFP4,
        .modeloptMXFP8, .modeloptMixed, .quarkMXFP4, .quarkE2M3, .quarkE3M2, .quarkMixed, .sharded,
        .ggufMXFP4, .ggufINT8, .compressedFP8, .compressedFP8Channel, .modeloptFP8,
        .modeloptFP8Channel, .ggufFP8Channel, .ggufMXFP8,
    ]

    @Test(arguments: samples)
    func exportsAreRounded(sample: LintSample) throws {
        let found = try compare { try sample.write(to: $0) }
        #expect(found.values.filter { $0.verdict == .differs }.map(\.message) == [])
        #expect(found["model.layers.0.mlp.up_proj.weight"]?.verdict == .rounded)
        #expect(found.values.allSatisfy { $0.message.isEmpty })
    }

    @Test func copiesAreExact() throws {
        let found = try compare { try LintSample.f32.write(to: $0) }
        #expect(found["model.norm.weight"]?.verdict == .exact)
        #expect(found["model.norm.weight"]?.sqnrDecibels == .infinity)
        // The checkpoint's head stands alone, the source's is the embedding.
        #expect(found["lm_head.weight"]?.verdict == .differs)
        let tied = try compare({ try LintSample.bf16.write(to: $0) }, tied: false)
        #expect(tied["model.embed_tokens.weight"]?.verdict == .rounded)
        #expect(tied["lm_head.weight"]?.message.contains("legitimately") == true)
    }

    /// An embedding in BF16 beside weights of 4 bits is judged as if rounded, and said to be stored in 16.
    @Test func plainWeightsSayWhatTheyAreJudgedBy() throws {
        let name = "model.embed_tokens.weight"
        let model = try TinyModel.make()
        for index in try model.parameters.elements(named: name).indices {
            try model.parameters.elements(named: name)[index] *= -1
        }
        let other = try QuantizedModel(
            rounding: model,
            recipe: .init(defaultFormat: .mxfp4),
            team: Self.team
        )
        let found = try compare {
            _ = try other.write(
                to: HuggingFaceWriter(other.description, format: .compressedTensors, folder: $0)
            )
        }
        let message = found[name]?.message ?? ""
        #expect(
            message.contains("the formats that the file names (it is stored in 16)"),
            "\(message)"
        )
    }

    @Test func otherWeightsDiffer() throws {
        let name = "model.layers.0.mlp.up_proj.weight"
        let found = try compare({ try LintSample.compressedMXFP4.write(to: $0) }) { folder in
            try LintFault.stored(folder) { tensors in
                let key = "model.layers.0.mlp.up_proj.weight_scale"
                let doubled = tensors[key]?.bytes.map { $0 + 1 }
                tensors[key]?.bytes = doubled ?? []
            }
        }
        let comparison = try #require(found[name])
        #expect(comparison.verdict == .differs)
        #expect(comparison.message.contains("below 6 dB for 4 bits"))
        #expect(comparison.message.contains("rotate, smooth or make up"))
        #expect(found.values.filter { $0.verdict == .differs }.count == 1)
    }

    @Test(arguments: [("gptq", "none", false), ("awq", "none", true), ("max", "hadamard", true)])
    func methodsThatChangeWeightsAreToldApart(
        method: String,
        rotation: String,
        isLegitimate: Bool
    ) throws {
        let model = try TinyModel.make()
        let name = "model.layers.0.mlp.up_proj.weight"
        for index in try model.parameters.elements(named: name).indices {
            try model.parameters.elements(named: name)[index] *= index % 2 == 0 ? 3 : 0.2
        }
        let changed = try QuantizedModel(
            rounding: model,
            recipe: .init(defaultFormat: .mxfp4),
            team: Self.team
        )
        var description = changed.description
        description.metadata = ["qat.method": method, "qat.rotation": rotation]
        let found = try compare {
            _ = try changed.write(
                to: HuggingFaceWriter(description, format: .compressedTensors, folder: $0)
            )
        }
        #expect(found[name]?.verdict == (isLegitimate ? .changed : .differs))
        #expect(found["model.layers.1.mlp.up_proj.weight"]?.verdict == .rounded)
    }

    @Test func otherShapesAreFindings() throws {
        let found = try compare({ try LintSample.bf16.write(to: $0) }) { folder in
            try LintFault.rewrite("config.json", in: folder) { root in
                root["num_hidden_layers"] = 1
                root["intermediate_size"] = 48
            }
            try LintFault.stored(folder) { tensors in
                for name in tensors.keys where name.hasPrefix("model.layers.1.") {
                    tensors[name] = nil
                }
                for (name, tensor) in tensors where tensor.shape.contains(96) {
                    tensors[name]?.shape = tensor.shape.map { $0 == 96 ? 48 : $0 }
                    tensors[name]?.bytes = Array(tensor.bytes.prefix(tensor.bytes.count / 2))
                }
            }
        }
        let up = found["model.layers.0.mlp.up_proj.weight"]
        #expect(up?.message == "has the shape [48, 64], in the source [96, 64]")
        #expect(up?.sqnrDecibels == nil)
        let gone = found["model.layers.1.mlp.up_proj.weight"]
        #expect(gone?.message.contains("the source alone") == true)
        #expect(found["model.norm.weight"]?.verdict == .exact)
    }
}
