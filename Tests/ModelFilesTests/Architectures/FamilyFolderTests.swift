internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Hugging Face folders of all families: tensors with and without parameters.
@Suite struct FamilyFolderTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    /// Writes a model as its family stores it, with further tensors, or without some.
    private static func write(
        _ model: LoadedModel,
        to folder: TemporaryFolder,
        adding tensors: [RawTensor] = [],
        removing names: Set<String> = []
    ) throws {
        let configuration = model.configuration
        var all = tensors
        for stored in ParameterLayout.stored(of: configuration)
        where !names.contains(stored.entry.name) {
            let bytes = stored.parts.flatMap {
                Array(UnsafeRawBufferPointer(model.parameters.elements(of: $0)))
            }
            all.append(RawTensor(stored.entry.name, .f32, stored.entry.shape, bytes))
        }
        let writer = try SafetensorsWriter(
            path: folder.path + "/model.safetensors",
            tensors: all.map { .init(name: $0.name, type: $0.type, shape: $0.shape) }
        )
        for tensor in all { try writer.write(tensor.name, tensor.bytes) }
        try writer.finish()
        let json = try HuggingFaceConfiguration.render(
            configuration,
            dtype: "float32",
            quantization: nil
        )
        _ = try folder.write(json, "config.json")
    }

    @Test(arguments: FamilySamples.names)
    func readsAllTensorsOf(family: String) throws {
        let folder = try TemporaryFolder()
        let model = try FamilyGGUFTests.model(FamilySamples.read(family))
        try Self.write(model, to: folder)
        let source = try ModelLoader.open(path: folder.path)
        #expect(source.configuration == model.configuration)
        #expect(try FamilyGGUFTests.difference(source, model) == nil)
    }

    @Test func fusedTensorsAreRanges() throws {
        let folder = try TemporaryFolder()
        let model = try FamilyGGUFTests.model(FamilySamples.read("phi3"))
        try Self.write(model, to: folder)
        let file = try SafetensorsFile(path: folder.path + "/model.safetensors")
        // 4 · 16 queries, 2 · 16 keys, 2 · 16 values.
        #expect(file.tensors["model.layers.0.self_attn.qkv_proj.weight"]?.shape == [128, 64])
        #expect(file.tensors["model.layers.0.mlp.gate_up_proj.weight"]?.shape == [192, 64])
        #expect(file.tensors["model.layers.0.self_attn.q_proj.weight"] == nil)
        // Some rows of a part that is not the first.
        let source = try ModelLoader.open(path: folder.path)
        let name = "model.layers.1.self_attn.v_proj.weight"
        let entry = try #require(model.parameters.layout[name])
        var rows = [Float](repeating: 0, count: 2 * entry.columns)
        try rows.withUnsafeMutableBufferPointer {
            try source.read(entry, rows: 3..<5, into: $0, team: Self.team)
        }
        let values = model.parameters.elements(of: entry)
        #expect(rows == Array(values[3 * entry.columns..<5 * entry.columns]))
    }

    @Test(arguments: [
        "model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.sinks",
        "vision_tower.patch.weight", "model.layers.2.input_layernorm.weight",
    ])
    func refusesTensorsThatNoParameterClaims(name: String) throws {
        let folder = try TemporaryFolder()
        let model = try FamilyGGUFTests.model(FamilySamples.read("llama"))
        let stray = RawTensor(name, .f32, [2], [UInt8](repeating: 0, count: 8))
        try Self.write(model, to: folder, adding: [stray])
        #expect {
            try ModelLoader.open(path: folder.path)
        } throws: { "\($0)".contains("tensor \(name) belongs to nothing") }
    }

    @Test func inverseFrequenciesAndEmptyTensorsAreFine() throws {
        let folder = try TemporaryFolder()
        let model = try FamilyGGUFTests.model(FamilySamples.read("llama"))
        let neutral = [
            RawTensor(
                "model.layers.0.self_attn.rotary_emb.inv_freq",
                .f32,
                [4],
                [UInt8](repeating: 0, count: 16)
            ), RawTensor("model.buffer", .f32, [0], []),
        ]
        try Self.write(model, to: folder, adding: neutral)
        #expect(try ModelLoader.open(path: folder.path).configuration == model.configuration)
    }

    /// Measured with Transformers 5.24: a head beside a tied embedding is the embedding if the values
    /// are the same, and another head if not; alone, it is both.
    @Test func aHeadInTheFileGoesBeforeTheKey() throws {
        let model = try FamilyGGUFTests.model(FamilySamples.read("llama"))
        #expect(model.configuration.tiedEmbeddings)
        let layout = model.parameters.layout
        let values = Array(model.parameters.elements(of: layout.embedding))
        func head(_ values: [Float]) -> RawTensor {
            RawTensor(
                "lm_head.weight",
                .f32,
                layout.embedding.shape,
                values.withUnsafeBytes { Array($0) }
            )
        }
        let same = try TemporaryFolder()
        try Self.write(model, to: same, adding: [head(values)])
        #expect(try ModelLoader.open(path: same.path).configuration.tiedEmbeddings)
        let other = try TemporaryFolder()
        try Self.write(model, to: other, adding: [head(values.map { 2 * $0 })])
        let source = try ModelLoader.open(path: other.path)
        #expect(!source.configuration.tiedEmbeddings)
        let entry = ParameterLayout(configuration: source.configuration).head
        var read = [Float](repeating: 0, count: entry.count)
        try read.withUnsafeMutableBufferPointer {
            try source.read(entry, into: $0, team: Self.team)
        }
        #expect(read == values.map { 2 * $0 })
        let alone = try TemporaryFolder()
        try Self.write(
            model,
            to: alone,
            adding: [head(values)],
            removing: ["model.embed_tokens.weight"]
        )
        let tied = try ModelLoader.open(path: alone.path)
        #expect(tied.configuration.tiedEmbeddings)
        #expect(try FamilyGGUFTests.difference(tied, model) == nil)
    }

    @Test func defaultsOfGenerationAreCarriedOver() throws {
        let folder = try TemporaryFolder()
        let model = try FamilyGGUFTests.model(FamilySamples.read("llama"))
        try Self.write(model, to: folder)
        _ = try folder.write(try TokenizerJSON.render(model.tokenizer), "tokenizer.json")
        let generation = #"{"eos_token_id": [5, 6], "temperature": 0.6, "do_sample": true}"#
        _ = try folder.write(Array(generation.utf8), "generation_config.json")
        let read = try ModelLoader.load(path: folder.path, team: Self.team)
        let quantized = QuantizedModel(model: read, stored: [:])
        let target = folder.path + "/copy"
        _ = try quantized.write(
            to: HuggingFaceWriter(quantized.description, format: .f32, folder: target)
        )
        let copy = try FamilySamples.keys(
            String(
                decoding: FileSystem.read(target + "/generation_config.json", limit: 1 << 20),
                as: UTF8.self
            )
        )
        #expect(copy["temperature"] as? Double == 0.6 && copy["do_sample"] as? Bool == true)
        #expect(copy["eos_token_id"] as? [Int] == [5, 6])
        #expect(
            try HuggingFaceConfiguration(path: target + "/config.json").model.eosTokens == [5, 6]
        )
    }

    @Test func vocabulariesThatDisagreeAreRefused() throws {
        let folder = try TemporaryFolder()
        let model = try FamilyGGUFTests.model(FamilySamples.read("llama"))
        try Self.write(model, to: folder)
        var keys = try FamilySamples.keys(
            String(
                decoding: FileSystem.read(folder.path + "/config.json", limit: 1 << 20),
                as: UTF8.self
            )
        )
        keys["vocab_size"] = 64
        _ = try folder.write(
            try HuggingFaceConfiguration.json(keys, name: "config.json"),
            "config.json"
        )
        #expect {
            try ModelLoader.open(path: folder.path)
        } throws: { "\($0)".contains("model.embed_tokens.weight is F32 of shape [48, 32]") }
    }
}
