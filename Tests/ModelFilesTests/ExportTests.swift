internal import Formats
internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// What is exported reads back as exactly what was computed with.
struct ExportTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    private func quantized(_ recipe: QuantizationRecipe, tied: Bool = true) throws -> QuantizedModel
    {
        try QuantizedModel(rounding: TinyModel.make(tied: tied), recipe: recipe, team: Self.team)
    }

    private func write(
        _ model: QuantizedModel,
        as format: HuggingFaceWriter.Format,
        to folder: String
    ) throws -> ModelWriterSummary {
        try model.write(
            to: HuggingFaceWriter(model.description, format: format, folder: folder)
        )
    }

    /// Expects the parameters in `names` to be equal, NVFP4's up to its reciprocal scale's rounding.
    private func expectEqual(
        _ read: LoadedModel,
        _ written: QuantizedModel,
        relativeError: Float = 0
    ) {
        #expect(!written.stored.isEmpty)
        for name in written.stored.keys {
            guard let entry = read.parameters.layout[name] else {
                Issue.record("\(name) is gone")
                continue
            }
            let pairs = zip(
                read.parameters.elements(of: entry),
                written.model.parameters.elements(of: entry)
            )
            #expect(pairs.allSatisfy { abs($0 - $1) <= relativeError * abs($1) }, "\(name)")
        }
    }

    private static let mixed = QuantizationRecipe(
        defaultFormat: .mxfp4,
        rules: [
            .init(pattern: "*self_attn*", format: .mxfp8),
            .init(pattern: "*layers.1.mlp.down_proj", format: nil),
        ]
    )

    @Test(arguments: [
        (HuggingFaceWriter.Format.compressedTensors, QuantizationFormat.mxfp4),
        (.compressedTensors, .mxfp8), (.compressedTensors, .nvfp4),
        (.compressedTensors, .fp8PerTensor), (.compressedTensors, .fp8PerChannel),
        (.modelopt, .mxfp8), (.modelopt, .nvfp4), (.modelopt, .fp8PerTensor),
        (.modelopt, .fp8PerChannel), (.quark, .mxfp4), (.quark, .mxfp6E2M3),
        (.quark, .mxfp6E3M2),
    ])
    func foldersReadBackExactly(
        layout: HuggingFaceWriter.Format,
        format: QuantizationFormat
    ) throws {
        let folder = try TemporaryFolder()
        let written = try quantized(QuantizationRecipe(defaultFormat: format), tied: false)
        var description = written.description
        for module in description.formats.keys { description.inputAmax[module] = 3 }
        description.keyAmax = [4.48, 8.96]
        description.valueAmax = [44.8, 0]
        #expect(layout.obstacle(to: description) == nil)
        let summary = try written.write(
            to: HuggingFaceWriter(description, format: layout, folder: folder.path + "/m")
        )
        let scales = try ModelLoader.open(path: folder.path + "/m").keyValueScales
        let expected = KeyValueScales(keys: [4.48 / 448, 8.96 / 448], values: [44.8 / 448, 1])
        #expect(scales == expected)
        let read = try ModelLoader.load(path: folder.path + "/m", team: Self.team)
        let isReciprocal = layout == .compressedTensors && format == .nvfp4
        expectEqual(read, written, relativeError: isReciprocal ? 0x1p-22 : 0)
        #expect(read.storedByteCount == summary.tensorByteCount)
        for name in summary.files {
            #expect(FileManager.default.fileExists(atPath: folder.path + "/m/" + name))
        }
    }

    @Test func mixedFormatsAreGroupedByName() throws {
        let folder = try TemporaryFolder()
        let written = try quantized(Self.mixed)
        _ = try write(written, as: .compressedTensors, to: folder.path)
        expectEqual(try ModelLoader.load(path: folder.path, team: Self.team), written)
        let data = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/config.json"))
        let root = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let quantization = try #require(root?["quantization_config"] as? [String: Any])
        #expect(quantization["format"] as? String == "mixed-precision")
        #expect(
            quantization["ignore"] as? [String] == ["lm_head", "model.layers.1.mlp.down_proj"]
        )
        let groups = try #require(quantization["config_groups"] as? [String: [String: Any]])
        let targets = groups.mapValues { ($0["targets"] as? [String])?.count }
        #expect(targets == ["group_0": 5, "group_1": 8])
        #expect(groups["group_1"]?["format"] as? String == "mxfp8-quantized")
    }

    @Test func modelOptNamesLayersOfMixedPrecision() throws {
        let folder = try TemporaryFolder()
        let recipe = QuantizationRecipe(
            defaultFormat: .nvfp4,
            rules: [.init(pattern: "*self_attn*", format: .mxfp8)]
        )
        let written = try quantized(recipe)
        _ = try write(written, as: .modelopt, to: folder.path)
        expectEqual(try ModelLoader.load(path: folder.path, team: Self.team), written)
        let data = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/hf_quant_config.json"))
        let root = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let quantization = try #require(root?["quantization"] as? [String: Any])
        #expect(quantization["quant_algo"] as? String == "MIXED_PRECISION")
        let layers = quantization["quantized_layers"] as? [String: [String: Any]]
        #expect(
            layers?["model.layers.0.self_attn.q_proj"]?["quant_algo"] as? String == "MXFP8"
        )
        #expect(layers?["model.layers.0.mlp.up_proj"]?["quant_algo"] as? String == "W4A16_NVFP4")
    }

    @Test(arguments: [
        QuantizationFormat.mxfp4, .nvfp4, .mxfp6E2M3, .mxfp6E3M2, .mxfp8, .mxfp8E5M2, .mxint8,
        .fp8PerTensor, .fp8PerChannel,
    ])
    func ggufReadsBackExactly(format: QuantizationFormat) throws {
        let folder = try TemporaryFolder()
        let recipe = QuantizationRecipe(
            defaultFormat: format,
            rules: [.init(pattern: "*layers.1.mlp.*", format: nil)]
        )
        let written = try quantized(recipe)
        let summary = try written.write(
            to: GGUFWriter(written.description, folder: folder.path)
        )
        let read = try ModelLoader.load(path: folder.path, team: Self.team)
        expectEqual(read, written)
        #expect(read.storedByteCount == summary.tensorByteCount)
        #expect(read.configuration == written.model.configuration)
        #expect(read.chatTemplate == written.model.chatTemplate)
        let text = "Don't panic: 42 <|im_end|> ok"
        #expect(read.tokenizer.encode(text) == written.model.tokenizer.encode(text))
        let types = try GGUFFile(path: folder.path + "/model.gguf").tensors.mapValues(\.type)
        let expected: [String: GGUFTensorType] = [
            "mxfp4": .mxfp4, "nvfp4": .nvfp4, "mxint8": .q8_0,
        ]
        let other: GGUFTensorType = format.scaleKind.hasBlocks ? .bf16 : .f32
        #expect(types["blk.0.attn_q.weight"] == expected[format.name] ?? other)
        #expect(types["blk.0.attn_norm.weight"] == .f32)
        #expect(types["token_embd.weight"] == .bf16)
    }

    @Test func namesWhatAFormatCannotHold() throws {
        let written = try quantized(Self.mixed)
        let format = HuggingFaceWriter.Format.quark
        let obstacle = try #require(format.obstacle(to: written.description))
        #expect(obstacle.contains("self_attn.k_proj is mxfp8"))
        #expect(throws: ModelFileError.self) {
            try HuggingFaceWriter(written.description, format: .quark, folder: "/nowhere")
        }
        let nothing = QuantizedModel(model: written.model, stored: [:]).description
        #expect(
            HuggingFaceWriter.Format.modelopt.obstacle(to: nothing) == "nothing is quantized"
        )
        let embedding = try quantized(
            QuantizationRecipe(
                defaultFormat: .mxfp4,
                rules: [.init(pattern: "*embed_tokens", format: .mxfp8)]
            )
        )
        #expect(
            HuggingFaceWriter.Format.compressedTensors.obstacle(to: embedding.description)?
                .contains("model.embed_tokens is quantized") == true
        )
    }
}
