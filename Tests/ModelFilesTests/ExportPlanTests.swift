internal import Formats
internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Plans say beforehand what writers do.
struct ExportPlanTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    struct Sample: Sendable, CustomTestStringConvertible {
        let algorithm: String
        var attention: String?
        var isCalibrated = false
        var hasCacheScales = false

        var testDescription: String {
            "\(algorithm) \(attention ?? "") \(isCalibrated) \(hasCacheScales)"
        }
    }

    static let samples: [Sample] =
        QuantizationFormat.all.map { Sample(algorithm: $0.name) } + [
            Sample(algorithm: "nvfp4", isCalibrated: true, hasCacheScales: true),
            Sample(algorithm: "fp8_per_tensor", isCalibrated: true, hasCacheScales: true),
            Sample(algorithm: "mxfp4", attention: "mxfp8", hasCacheScales: true),
            Sample(algorithm: "mxfp4", attention: "mxfp6_e3m2", hasCacheScales: true),
            Sample(algorithm: "nvfp4", attention: "fp8_per_channel", isCalibrated: true),
        ]

    /// Every format that there is, in every export that there is: either both refuse, or the bytes are
    /// the same.
    @Test(arguments: samples, ExportLayout.allCases)
    func planIsWhatIsWritten(sample: Sample, layout: ExportLayout) throws {
        let format = try #require(QuantizationFormat(algorithm: sample.algorithm))
        var rules = [QuantizationRecipe.Rule(pattern: "*layers.1.mlp.down_proj", format: nil)]
        if let attention = sample.attention {
            let other = try #require(QuantizationFormat(algorithm: attention))
            rules.append(.init(pattern: "*self_attn*", format: other))
        }
        let model = try QuantizedModel(
            rounding: TinyModel.make(tied: false),
            recipe: QuantizationRecipe(defaultFormat: format, rules: rules),
            team: Self.team
        )
        var description = model.description
        description.activations = sample.isCalibrated ? format : nil
        if sample.isCalibrated {
            description.inputAmax = description.formats.mapValues { _ in 3 }
        }
        if sample.hasCacheScales {
            description.keyAmax = [1, 2]
            description.valueAmax = [3, 4]
        }
        let plan = ExportPlan(layout, of: description)
        let folder = try TemporaryFolder()
        func writer() throws -> any ModelWriter {
            try ModelWriters.writer(of: description, as: layout, folder: folder.path)
        }
        guard let planned = plan.tensorByteCount else {
            #expect(!plan.obstacles.isEmpty)
            let error = #expect(throws: ModelFileError.self) { _ = try writer() }
            #expect(error?.message.contains(plan.obstacles[0].description) == true)
            return
        }
        #expect(plan.obstacles.isEmpty)
        let summary = try model.write(to: writer())
        #expect(summary.tensorByteCount == planned)
        let read = try ModelLoader.open(path: folder.path)
        #expect(read.storedByteCount == planned)
        #expect(try Self.byteCount(of: folder.path) == plan.byteCount)
    }

    /// Bytes of all files below a folder.
    private static func byteCount(of folder: String) throws -> Int {
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder)
        return try names.reduce(0) { total, name in
            let facts = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
            let isFile = facts[.type] as? FileAttributeType == .typeRegular
            return total + (isFile ? try #require(facts[.size] as? Int) : 0)
        }
    }

    /// A source with all files that are carried over, in every form: what is planned is what stands on
    /// the disk, shards and their index included.
    @Test(arguments: ExportLayout.allCases, [true, false])
    func allFilesAreCounted(layout: ExportLayout, isSharded: Bool) throws {
        let source = try TemporaryFolder()
        let plain = QuantizedModel(model: try TinyModel.make(), stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .bf16, folder: source.path)
        )
        _ = try source.write(Array("---\nlicense: mit\n---\n# Tiny\n".utf8), "README.md")
        _ = try source.write(Array("MIT\n".utf8), "LICENSE")
        // Readers refuse a byte order mark, so it is left out.
        let map = #"{"eos_token": "<|im_end|>"}"#
        _ = try source.write([0xEF, 0xBB, 0xBF] + Array(map.utf8), "special_tokens_map.json")
        try FileManager.default.createDirectory(
            atPath: source.path + "/additional_chat_templates",
            withIntermediateDirectories: true
        )
        _ = try source.write(Array("{{ x }}".utf8), "additional_chat_templates/tools.jinja")
        let model = try QuantizedModel(
            rounding: ModelLoader.load(path: source.path, team: Self.team),
            recipe: QuantizationRecipe(defaultFormat: layout == .modelopt ? .nvfp4 : .mxfp4),
            team: Self.team
        )
        var description = model.description
        description.metadata = ["qat.version": "1.2.3"]
        if isSharded { description.shardByteCount = 20_000 }
        let plan = ExportPlan(layout, of: description)
        let folder = try TemporaryFolder()
        _ = try model.write(
            to: ModelWriters.writer(of: description, as: layout, folder: folder.path)
        )
        #expect(try Self.byteCount(of: folder.path) == plan.byteCount)
        // And from a GGUF file, whose tokenizer is written anew.
        guard layout == .gguf, !isSharded else { return }
        let read = try ModelLoader.load(path: folder.path, team: Self.team)
        for layout in ExportLayout.allCases where layout.folder?.dialect == nil {
            let again = QuantizedModel(model: read, stored: [:])
            let folder = try TemporaryFolder()
            _ = try again.write(
                to: ModelWriters.writer(of: again.description, as: layout, folder: folder.path)
            )
            let plan = ExportPlan(layout, of: again.description)
            #expect(try Self.byteCount(of: folder.path) == plan.byteCount, "\(layout)")
        }
    }

    /// llama.cpp computes Mistral without its window, and says nothing of it.
    @Test func windowsThatLlamaCppIgnoresAreSaid() {
        var configuration = Self.configuration
        configuration.architecture = Architecture(family: "mistral")
        configuration.layerAttention = [LayerAttention(window: 32)]
        let description = ExportDescription(
            configuration: configuration,
            source: SourceFiles(),
            formats: [:]
        )
        let remarks = ExportPlan(.gguf, of: description).substitutions.map(\.description)
        #expect(remarks.count == 1 && remarks[0].contains("without its window"), "\(remarks)")
    }

    /// Quark's readers round inputs whatever a job asks for, and so do ModelOpt's of MXFP8.
    @Test func inputsThatAreRoundedUnaskedAreSaid() {
        let up = "model.layers.0.mlp.up_proj"
        for (layout, format) in [
            (ExportLayout.quark, QuantizationFormat.mxfp4), (.modelopt, .mxfp8),
        ] {
            let remarks = Self.plan(layout, [up: format]).substitutions.map(\.description)
            #expect(
                remarks == [
                    "\(layout.rawValue) has the inputs of 1 module rounded, though the job does not "
                        + "ask for it: \(format.name) by 32"
                ]
            )
        }
        #expect(Self.plan(.modelopt, [up: .nvfp4]).substitutions.isEmpty)
    }

    private static let configuration = ModelConfiguration(
        vocabularySize: 100,
        hiddenSize: 64,
        intermediateSize: 80,
        layerCount: 1,
        headCount: 4,
        keyValueHeadCount: 2,
        tiedEmbeddings: true
    )

    private static func plan(
        _ layout: ExportLayout,
        _ formats: [String: QuantizationFormat],
        hasCacheScales: Bool = false,
        _ configuration: ModelConfiguration = configuration
    ) -> ExportPlan {
        var description = ExportDescription(
            configuration: configuration,
            source: SourceFiles(),
            formats: formats
        )
        if hasCacheScales { (description.keyAmax, description.valueAmax) = ([1], [1]) }
        return ExportPlan(layout, of: description)
    }

    @Test func everyObstacleIsNamedWithItsModule() {
        let layer = "model.layers.0."
        let plan = Self.plan(
            .quark,
            [
                layer + "mlp.up_proj": .mxfp8, layer + "mlp.down_proj": .mxfp4,
                layer + "self_attn.o_proj": .mxfp6E2M3, "model.embed_tokens": .mxfp4,
                layer + "mlp.no_proj": .mxfp4,
            ]
        )
        #expect(plan.tensorByteCount == nil)
        #expect(
            plan.obstacles.map(\.description) == [
                layer + "mlp.no_proj is no module of the model",
                "model.embed_tokens is quantized; quark stores linear layers of the decoder only",
                layer + "mlp.down_proj has 80 inputs, no multiple of mxfp4's blocks by 32",
                layer + "mlp.up_proj is mxfp8 by 32; quark has mxfp4 by 32, mxfp6_e2m3 by 32 and "
                    + "mxfp6_e3m2 by 32",
            ]
        )
    }

    /// The size by hand: embedding 100 · 64, norms 3 · 64, and the layer's matrices.
    @Test func sizesAreThoseOfTheDefinition() {
        let up = "model.layers.0.mlp.up_proj"
        let attention = 64 * 64 * 2 + 32 * 64 * 2
        let rest = 100 * 64 + 3 * 64 + attention + 2 * 80 * 64
        #expect(Self.plan(.bf16, [:]).tensorByteCount == 2 * (rest + 80 * 64))
        #expect(Self.plan(.f32, [:]).tensorByteCount == 4 * (rest + 80 * 64))
        let mxfp4 = 2 * rest + 80 * 32 + 80 * 2
        #expect(Self.plan(.compressedTensors, [up: .mxfp4]).tensorByteCount == mxfp4)
        let nvfp4 = 2 * rest + 80 * 32 + 80 * 4 + 4
        #expect(Self.plan(.modelopt, [up: .nvfp4]).tensorByteCount == nvfp4)
        // Vectors are FP32, and 64 NVFP4 codes take 36 bytes.
        let gguf = 2 * rest + 2 * 3 * 64 + 80 * 36 + 4
        #expect(Self.plan(.gguf, [up: .nvfp4]).tensorByteCount == gguf)
    }

    @Test func otherFormsAreSaid() {
        let up = "model.layers.0.mlp.up_proj"
        let gguf = Self.plan(.gguf, [up: .mxfp8], hasCacheScales: true)
        #expect(gguf.obstacles.isEmpty)
        #expect(gguf.substitutions.map(\.module) == [up, nil])
        #expect(
            gguf.substitutions[0].reason
                == "is mxfp8 by 32, which GGUF does not have; stored as bf16, exactly"
        )
        var eight = QuantizationFormat.mxfp4
        eight.blockSize = 8
        let narrow = Self.plan(.gguf, [up: eight]).substitutions.map(\.reason)
        #expect(narrow == ["is mxfp4 by 8, which GGUF does not have; stored as bf16, exactly"])
        let plain = Self.plan(.bf16, [up: .nvfp4])
        #expect(plain.substitutions[0].reason.contains("rounded once more"))
        let quark = Self.plan(.quark, [up: .mxfp4], hasCacheScales: true).substitutions
        #expect(quark.allSatisfy { $0.reason.contains("inputs") })
    }

    /// llama.cpp computes no dynamic scaling, and Llama 3's by a tensor of factors.
    @Test func rotaryScalingIsAnObstacleOfGGUFWhereLlamaCppHasNone() {
        var configuration = Self.configuration
        configuration.rotary.scaling = .dynamic(
            factor: 2,
            originalPositions: configuration.maximumPositions
        )
        let plan = Self.plan(.gguf, [:], configuration)
        #expect(plan.obstacles.map(\.description).joined().contains("dynamic scaling"))
        #expect(plan.tensorByteCount == nil)
        let plain = Self.plan(.gguf, [:])
        configuration.rotary.scaling = .llama3(
            .init(
                factor: 8,
                lowFrequencyFactor: 1,
                highFrequencyFactor: 4,
                originalPositions: 8192
            )
        )
        let scaled = Self.plan(.gguf, [:], configuration)
        #expect(scaled.obstacles.isEmpty)
        #expect(
            scaled.tensorByteCount
                == plain.tensorByteCount.map { $0 + 2 * configuration.headDimension }
        )
    }
}
