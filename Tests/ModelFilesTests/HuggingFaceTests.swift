internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

struct HuggingFaceTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    @Test(arguments: [true, false])
    func floatsSurviveTheRoundTrip(tied: Bool) throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make(tied: tied)
        let target = folder.path + "/model"
        let summary = try write(model, as: .f32, to: target)
        #expect(summary.tensorByteCount == model.parameters.storage.count * 4)
        let read = try ModelLoader.load(path: target, team: Self.team)
        #expect(read.configuration == model.configuration)
        #expect(read.parameters.storage.elements.elementsEqual(model.parameters.storage.elements))
        #expect(read.chatTemplate == model.chatTemplate)
        #expect(read.storedByteCount == summary.tensorByteCount)
    }

    @Test func bf16RoundsToNearestEven() throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make()
        let target = folder.path + "/model"
        _ = try write(model, as: .bf16, to: target)
        let read = try ModelLoader.load(path: target, team: Self.team)
        for (a, b) in zip(read.parameters.storage.elements, model.parameters.storage.elements) {
            #expect(abs(a - b) <= abs(b) * 0x1p-8)
        }
        #expect(HalfPrecision.bfloat(Float(bitPattern: 0x3F80_8000)) == 0x3F80)
        #expect(HalfPrecision.bfloat(Float(bitPattern: 0x3F81_8000)) == 0x3F82)
        #expect(HalfPrecision.bfloat(.nan) & 0x7F80 == 0x7F80)
    }

    private func write(
        _ model: LoadedModel,
        as format: HuggingFaceWriter.Format,
        to folder: String
    ) throws -> ModelWriterSummary {
        let quantized = QuantizedModel(model: model, stored: [:])
        return try quantized.write(
            to: HuggingFaceWriter(quantized.description, format: format, folder: folder)
        )
    }

    @Test func shardsReadBack() throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make()
        var description = QuantizedModel(model: model, stored: [:]).description
        description.shardByteCount = 100_000
        let writer = try HuggingFaceWriter(description, format: .f32, folder: folder.path)
        let summary = try QuantizedModel(model: model, stored: [:]).write(to: writer)
        let shards = summary.files.filter { $0.hasSuffix(".safetensors") }
        #expect(shards.count > 2)
        #expect(shards[0] == "model-00001-of-0000\(shards.count).safetensors")
        #expect(summary.files.contains("model.safetensors.index.json"))
        let read = try ModelLoader.load(path: folder.path, team: Self.team)
        #expect(read.parameters.storage.elements.elementsEqual(model.parameters.storage.elements))
        let escape = try JSONSerialization.data(
            withJSONObject: ["weight_map": ["x": "../../etc/passwd"]]
        )
        _ = try folder.write([UInt8](escape), "model.safetensors.index.json")
        #expect(throws: ModelFileError.self) {
            try ModelLoader.load(path: folder.path, team: Self.team)
        }
    }

    @Test(arguments: [
        #"{}"#, #"[]"#, #"{"architectures": ["BertModel"]}"#,
        #"{"model_type": "llama", "vocab_size": 10}"#,
        #"{"model_type": "llama", "attention_bias": true}"#,
        #"{"model_type": "llama", "vocab_size": 0, "hidden_size": 1, "intermediate_size": 1, "num_hidden_layers": 1, "num_attention_heads": 1}"#,
    ])
    func refusesOtherConfigurations(json: String) throws {
        let folder = try TemporaryFolder()
        _ = try folder.write(Array(json.utf8), "config.json")
        let error = #expect(throws: ModelFileError.self) {
            try ModelLoader.load(path: folder.path, team: Self.team)
        }
        #expect(error?.message.contains("config.json") == true)
    }
}

struct SafetensorsTests {
    private static func file(_ header: String, data: Int) -> [UInt8] {
        GGUFBuilder.little(UInt64(header.utf8.count)) + Array(header.utf8)
            + [UInt8](repeating: 0, count: data)
    }

    @Test(arguments: [
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8, true),
        (
            #"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}  "#, 4,
            true
        ),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7, false),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9, false),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, false),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12, false),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, false),
        (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, false),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0, false),
        (#"{"a":{"dtype":"F9","shape":[2],"data_offsets":[0,8]}}"#, 8, false),
        (
            #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#,
            6, false
        ),
        (#"["a"]"#, 0, false), ("{", 0, false), ("", 0, false), (" {}", 0, false),
        (#"{"a":{"shape":[2],"data_offsets":[0,8],"dtype":"F32"}}"#, 8, true),
        (#"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, 8, false),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}"#, 8, false),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8e0]}}"#, 8, false),
        (#"{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8, false),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":{}}}"#, 8, false),
        (#"{"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}}"#, 8, false),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},}"#, 8, false),
        (
            #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
            0, false
        ),
        (
            #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"__metadata__":{"k":"v","k":"v"}}"#,
            0, false
        ),
        (
            #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"__metadata__":{"k":1}}"#, 0,
            false
        ),
        (
            #"{"__metadata__":{},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"__metadata__":{}}"#,
            0, false
        ),
    ])
    func checksItsDirectory(header: String, data: Int, isValid: Bool) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.file(header, data: data), "x.safetensors")
        if isValid {
            #expect(try SafetensorsFile(path: path).tensors.count == 1)
        } else {
            #expect(throws: ModelFileError.self) { try SafetensorsFile(path: path) }
        }
    }

    @Test func refusesAHeaderBeyondTheFile() throws {
        let folder = try TemporaryFolder()
        for length in [UInt64.max, 100_000_001, 1 << 20] {
            let path = try folder.write(GGUFBuilder.little(length) + [1, 2, 3], "x.safetensors")
            #expect(throws: ModelFileError.self) { try SafetensorsFile(path: path) }
        }
    }
}
