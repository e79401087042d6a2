internal import Formats
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
    @Test(arguments: samples, ExportPlan.formatNames)
    func planIsWhatIsWritten(sample: Sample, name: String) throws {
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
        let plan = ExportPlan(
            format: name,
            configuration: description.configuration,
            formats: description.formats,
            activations: description.activations,
            isCalibrated: sample.isCalibrated,
            hasCacheScales: sample.hasCacheScales
        )
        let folder = try TemporaryFolder()
        func writer() throws -> any ModelWriter {
            guard let layout = HuggingFaceWriter.Format(rawValue: name) else {
                return try GGUFWriter(description, folder: folder.path)
            }
            return try HuggingFaceWriter(description, format: layout, folder: folder.path)
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
        _ name: String,
        _ formats: [String: QuantizationFormat],
        hasCacheScales: Bool = false
    ) -> ExportPlan {
        ExportPlan(
            format: name,
            configuration: configuration,
            formats: formats,
            hasCacheScales: hasCacheScales
        )
    }

    @Test func everyObstacleIsNamedWithItsModule() {
        let layer = "model.layers.0."
        let plan = Self.plan(
            "quark",
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
                layer + "mlp.up_proj is mxfp8 by 32; quark has mxfp4, mxfp6_e2m3 and mxfp6_e3m2 "
                    + "by 32",
            ]
        )
    }

    @Test func formatsThatAreNoneAreObstacles() {
        let plan = Self.plan("awq", [:])
        #expect(plan.obstacles.first?.description.hasPrefix("awq is none of bf16") == true)
    }

    /// The size by hand: embedding 100 · 64, norms 3 · 64, and the layer's matrices.
    @Test func sizesAreThoseOfTheDefinition() {
        let up = "model.layers.0.mlp.up_proj"
        let attention = 64 * 64 * 2 + 32 * 64 * 2
        let rest = 100 * 64 + 3 * 64 + attention + 2 * 80 * 64
        #expect(Self.plan("bf16", [:]).tensorByteCount == 2 * (rest + 80 * 64))
        #expect(Self.plan("f32", [:]).tensorByteCount == 4 * (rest + 80 * 64))
        let mxfp4 = 2 * rest + 80 * 32 + 80 * 2
        #expect(Self.plan("compressed-tensors", [up: .mxfp4]).tensorByteCount == mxfp4)
        let nvfp4 = 2 * rest + 80 * 32 + 80 * 4 + 4
        #expect(Self.plan("modelopt", [up: .nvfp4]).tensorByteCount == nvfp4)
        // Vectors are FP32, and 64 NVFP4 codes take 36 bytes.
        let gguf = 2 * rest + 2 * 3 * 64 + 80 * 36 + 4
        #expect(Self.plan("gguf", [up: .nvfp4]).tensorByteCount == gguf)
    }

    @Test func otherFormsAreSaid() {
        let up = "model.layers.0.mlp.up_proj"
        let gguf = Self.plan("gguf", [up: .mxfp8], hasCacheScales: true)
        #expect(gguf.obstacles.isEmpty)
        #expect(gguf.substitutions.map(\.module) == [up, nil])
        #expect(gguf.substitutions[0].reason.contains("stored as bf16"))
        let plain = Self.plan("bf16", [up: .nvfp4])
        #expect(plain.substitutions[0].reason.contains("rounded once more"))
        #expect(Self.plan("quark", [up: .mxfp4], hasCacheScales: true).substitutions.isEmpty)
    }

    /// llama.cpp computes no dynamic scaling, and Llama 3's by a tensor of factors.
    @Test func rotaryScalingIsAnObstacleOfGGUFWhereLlamaCppHasNone() {
        var configuration = Self.configuration
        configuration.rotary.scaling = .dynamic(
            factor: 2,
            originalPositions: configuration.maximumPositions
        )
        let plan = ExportPlan(format: "gguf", configuration: configuration, formats: [:])
        #expect(plan.obstacles.map(\.description).joined().contains("dynamic scaling"))
        #expect(plan.tensorByteCount == nil)
        let plain = ExportPlan(format: "gguf", configuration: Self.configuration, formats: [:])
        configuration.rotary.scaling = .llama3(
            .init(
                factor: 8,
                lowFrequencyFactor: 1,
                highFrequencyFactor: 4,
                originalPositions: 8192
            )
        )
        let scaled = ExportPlan(format: "gguf", configuration: configuration, formats: [:])
        #expect(scaled.obstacles.isEmpty)
        #expect(
            scaled.tensorByteCount
                == plain.tensorByteCount.map { $0 + 2 * configuration.headDimension }
        )
    }
}
