internal import Formats
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ModelFiles
internal import ServiceKit
internal import Testing
internal import Transformer

@testable internal import ComputeKit
@testable internal import qat_client

/// Several exports of one model, some of which fail.
@Suite struct ModelExportTests {
    private let home: TemporaryHome
    private let model: LoadedModel

    init() throws {
        home = try TemporaryHome()
        try TinyModelFolder().write(to: home.home.path + "/source")
        model = try ModelLoader.load(
            path: home.home.path + "/source",
            team: ThreadTeam(threadCount: 1)
        )
    }

    private func export(
        _ exports: [ExportOptions],
        _ group: ExportGroup? = nil
    ) throws -> ModelExport.Outcome {
        let description = QuantizedModel(model: model, stored: [:]).description
        let export = try ModelExport(
            description,
            group ?? ExportGroup(exports),
            outputFolder: home.home.path + "/output"
        )
        try export.write(model.parameters, stored: [:])
        return try export.finish()
    }

    @Test(arguments: [ExportOptions.ObstacleRule.fail, .skip])
    func aFailingExportCostsOnlyItself(rule: ExportOptions.ObstacleRule) throws {
        // A file where the folder should be: writing there fails for everybody.
        try home.write("output/model-gguf", "in the way")
        let outcome = try export([
            .init(format: .bf16), .init(format: .gguf, onObstacle: rule),
        ])
        let read = try ModelLoader.load(
            path: home.home.path + "/output/model",
            team: ThreadTeam(threadCount: 1)
        )
        #expect(read.parameters.layout.totalCount == model.parameters.layout.totalCount)
        #expect(outcome.layout == .bf16)
        if rule == .skip {
            #expect(outcome.warnings.contains { $0.hasPrefix("export gguf was left out: ") })
            try outcome.requireAll()
        } else {
            let error = #expect(throws: ComputeFailure.self) { try outcome.requireAll() }
            #expect(error?.reason == .exportFailed)
            #expect(error?.message.hasPrefix("export gguf failed: ") == true)
        }
    }

    /// What an export leaves out is said once, whether the plan or the writer knows it.
    @Test func whatIsLeftOutIsSaidOnce() throws {
        var description = QuantizedModel(model: model, stored: [:]).description
        description.keyAmax = [448]
        description.valueAmax = [448]
        let modules = description.configuration.linearModules.map { $0.name(layer: 0) }
        description.formats = Dictionary(uniqueKeysWithValues: modules.map { ($0, .nvfp4) })
        description.activations = .nvfp4
        let export = try ModelExport(
            description,
            ExportGroup([.init(format: .bf16), .init(format: .gguf)]),
            outputFolder: home.home.path + "/output"
        )
        try export.write(model.parameters, stored: [:])
        let warnings = try export.finish().warnings
        for (layout, part) in [
            ("bf16", "no scales of the key-value cache; they are left out"),
            ("bf16", "the inputs of 7 modules are rounded to nvfp4"),
            ("gguf", "no scales of the key-value cache; they are left out"),
            ("gguf", "the inputs of 7 modules are rounded to nvfp4"),
        ] {
            let found = warnings.filter { $0.hasPrefix("export \(layout): ") && $0.contains(part) }
            #expect(found.count == 1, "\(layout): \(part): \(warnings)")
        }
    }

    /// What was announced and then told with its reason is one warning; another export's stays.
    @Test func anAnnouncedExportIsToldOnce() {
        let outcome = ModelExport.Outcome(
            layout: .bf16,
            precision: nil,
            written: [],
            tensorByteCount: 0,
            warnings: ["export gguf was left out: of this"],
            failures: []
        )
        let planned = [
            "$.export[0].format: gguf will be left out: of this",
            "$.export[1].format: quark will be left out: of that", "else",
        ]
        #expect(
            outcome.warnings(after: planned) == [planned[1], "else", outcome.warnings[0]]
        )
    }

    @Test func aFailingFirstExportLeavesTheNamesOfTheOthers() throws {
        try home.write("output/model", "in the way")
        let outcome = try export([.init(format: .bf16), .init(format: .gguf)])
        #expect(outcome.layout == .gguf)
        #expect(
            FileManager.default.fileExists(atPath: home.home.path + "/output/model-gguf/model.gguf")
        )
        #expect(throws: ComputeFailure.self) { try outcome.requireAll() }
    }

    /// A group of a training for several formats has its folders and its name in all that is said.
    @Test func groupsHaveFoldersOfTheirOwn() throws {
        let job = """
            {"model": "m", "quantization": {"formats": ["mxfp8", "mxfp4"]}, "data": {"train": ["t"]},
             "export": [{"format": "bf16"}, {"format": "gguf", "on_obstacle": "skip"}]}
            """
        guard case .train(let spec) = try JobSpec.parse(kind: "train", json: Array(job.utf8)) else {
            return
        }
        try home.write("output/model-mxfp4-gguf", "in the way")
        let outcomes = try spec.exportGroups.map { try export([], $0) }
        #expect(outcomes[0].written == ["bf16 in model/", "gguf in model-gguf/"])
        #expect(outcomes[1].written == ["bf16 in model-mxfp4/"])
        let left = try #require(outcomes[1].warnings.first)
        #expect(left.hasPrefix("export gguf in mxfp4 was left out: "), "\(left)")
        let planned = [
            "$.export[1].format: gguf in mxfp4 will be left out: of this",
            "$.export[1].format: gguf in mxfp8 will be left out: of that",
        ]
        #expect(outcomes[1].announced(in: planned) == [planned[1]])
    }

    @Test func failsWhereNothingCanBeWritten() throws {
        try home.write("output", "in the way")
        let error = #expect(throws: ComputeFailure.self) {
            try export([.init(format: .bf16), .init(format: .gguf, onObstacle: .skip)])
        }
        #expect(error?.reason == .exportFailed)
    }
}
