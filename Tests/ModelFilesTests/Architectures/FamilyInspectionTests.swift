internal import Formats
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// What linter and comparison say of sound exports of every family in every form: nothing.
@Suite struct FamilyInspectionTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    /// A form with a format that it holds.
    struct Export: Sendable, CustomTestStringConvertible {
        let layout: ExportLayout
        let format: QuantizationFormat

        var testDescription: String { "\(layout.rawValue) \(format.name)" }
    }

    static let exports: [Export] =
        [QuantizationFormat.mxfp4, .nvfp4, .mxfp8, .fp8PerTensor, .fp8PerChannel].map {
            .init(layout: .compressedTensors, format: $0)
        }
        + [QuantizationFormat.nvfp4, .mxfp8, .fp8PerChannel].map {
            .init(layout: .modelopt, format: $0)
        }
        + [QuantizationFormat.mxfp4, .mxfp6E2M3].map { .init(layout: .quark, format: $0) }
        + [QuantizationFormat.mxfp4, .mxint8, .mxfp8, .fp8PerChannel].map {
            .init(layout: .gguf, format: $0)
        } + [.init(layout: .bf16, format: .mxfp6E3M2), .init(layout: .f32, format: .fp8PerTensor)]

    @Test(arguments: exports, FamilyRoundTripTests.cases)
    func exportsAreSound(export: Export, sample: FamilyRoundTripTests.Case) throws {
        let configuration = try sample.read()
        // What llama.cpp does not compute is refused.
        if export.layout == .gguf, (try? GGUFExport(configuration)) == nil { return }
        let folder = try TemporaryFolder()
        let made = folder.path + "/made"
        let quantized = try Self.rounded(configuration, .init(defaultFormat: export.format))
        let writer = try ModelWriters.writer(
            of: quantized.description,
            as: export.layout,
            folder: made
        )
        _ = try quantized.write(to: writer)
        #expect(CheckpointLint.lint(path: made).map { "\($0.place): \($0.message)" } == [])
        try Self.expectNoDifference(made, configuration, folder)
    }

    /// Scales of the cache stand beside modules that are not quantized, too.
    @Test(
        arguments: [
            Export(layout: .compressedTensors, format: .mxfp4),
            .init(layout: .modelopt, format: .mxfp8),
            .init(layout: .quark, format: .mxfp4),
        ],
        ["none", "mlp", "attention"]
    )
    func cacheScalesAreReadWhateverIsQuantized(export: Export, left: String) throws {
        let configuration = try FamilySamples.read("llama")
        let patterns = ["mlp": "*mlp*", "attention": "*self_attn*"]
        let rules = patterns[left].map {
            [QuantizationRecipe.Rule(pattern: .init($0), format: nil)]
        }
        let quantized = try Self.rounded(
            configuration,
            .init(defaultFormat: export.format, rules: rules ?? [])
        )
        var description = quantized.description
        (description.keyAmax, description.valueAmax) = ([448, 896], [224, 448])
        let folder = try TemporaryFolder()
        let made = folder.path + "/made"
        let writer = try ModelWriters.writer(of: description, as: export.layout, folder: made)
        _ = try quantized.write(to: writer)
        #expect(CheckpointLint.lint(path: made).map { "\($0.place): \($0.message)" } == [])
        let source = try ModelLoader.open(path: made)
        #expect(source.keyValueScales == KeyValueScales(keys: [1, 2], values: [0.5, 1]))
        try Self.expectNoDifference(made, configuration, folder)
    }

    /// A scale of a cache that stands where no layer has one belongs to nothing.
    @Test(arguments: ["model.layers.2.self_attn.k_scale", "model.layers.0.mlp.up_proj.v_scale"])
    func straysThatAreCalledLikeCacheScalesAreRefused(name: String) throws {
        let quantized = try Self.rounded(
            FamilySamples.read("llama"),
            .init(defaultFormat: .mxfp4)
        )
        var description = quantized.description
        (description.keyAmax, description.valueAmax) = ([448, 896], [224, 448])
        let folder = try TemporaryFolder()
        let writer = try ModelWriters.writer(
            of: description,
            as: .compressedTensors,
            folder: folder.path
        )
        _ = try quantized.write(to: writer)
        try LintFault.stored(folder.path) { tensors in
            tensors[name] = .init(type: .f32, shape: [1], bytes: [0, 0, 128, 63])
        }
        #expect {
            try ModelLoader.open(path: folder.path)
        } throws: { "\($0)".contains("tensor \(name) belongs to nothing") }
        #expect(CheckpointLint.lint(path: folder.path).contains { $0.place == name })
    }

    private static func rounded(
        _ configuration: ModelConfiguration,
        _ recipe: QuantizationRecipe
    ) throws -> QuantizedModel {
        let model = try FamilyGGUFTests.model(configuration)
        return try QuantizedModel(rounding: model, recipe: recipe, team: team)
    }

    /// Compares an export with the model that it was made from.
    private static func expectNoDifference(
        _ made: String,
        _ configuration: ModelConfiguration,
        _ folder: TemporaryFolder
    ) throws {
        let source = folder.path + "/source"
        let model = QuantizedModel(model: try FamilyGGUFTests.model(configuration), stored: [:])
        _ = try model.write(
            to: ModelWriters.writer(of: model.description, as: .f32, folder: source)
        )
        let found = try CheckpointComparison.compare(path: made, source: source, team: team)
        #expect(found.filter { $0.verdict == .differs }.map { "\($0.name) \($0.message)" } == [])
        #expect(found.contains { $0.verdict == .rounded })
    }
}
