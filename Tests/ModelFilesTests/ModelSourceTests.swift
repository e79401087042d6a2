internal import Formats
internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

struct ModelSourceTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    /// One element more than a tensor has on either side, to notice writes beyond it.
    private func values(_ source: any ModelSource, _ entry: ParameterLayout.Entry) throws -> [Float]
    {
        var output = [Float](repeating: 7, count: entry.count + 2)
        try output.withUnsafeMutableBufferPointer { buffer in
            let inner = UnsafeMutableBufferPointer(rebasing: buffer[1...entry.count])
            try source.read(entry, into: inner, team: Self.team)
        }
        #expect(output.first == 7 && output.last == 7)
        return Array(output.dropFirst().dropLast())
    }

    private func expectTensors(_ source: any ModelSource, of model: LoadedModel) throws {
        #expect(source.configuration == model.configuration)
        #expect(source.chatTemplate == model.chatTemplate)
        #expect(try source.tokenizer().vocabulary == model.tokenizer.vocabulary)
        // Backwards and twice: any order will do.
        for entry in model.parameters.layout.entries.reversed() {
            for _ in 0..<2 {
                let read = try values(source, entry)
                #expect(read.elementsEqual(model.parameters.elements(of: entry)), "\(entry.name)")
            }
        }
    }

    @Test func readsFoldersTensorByTensor() throws {
        let folder = try TemporaryFolder()
        let written = try QuantizedModel(
            rounding: TinyModel.make(tied: false),
            recipe: QuantizationRecipe(
                defaultFormat: .mxfp4,
                rules: [.init(pattern: "*self_attn*", format: nil)]
            ),
            team: Self.team
        )
        let summary = try written.write(
            to: HuggingFaceWriter(
                written.description,
                format: .compressedTensors,
                folder: folder.path
            )
        )
        let source = try ModelLoader.open(path: folder.path)
        let model = try ModelLoader.load(path: folder.path, team: Self.team)
        #expect(source.kind == .huggingFace && source.path == folder.path)
        #expect(source.storedByteCount == summary.tensorByteCount)
        #expect(source.tokenizerJSON == written.model.tokenizerJSON)
        try expectTensors(source, of: model)
        for name in written.stored.keys {
            let entry = try #require(model.parameters.layout[name])
            let expected = written.model.parameters.elements(of: entry)
            #expect(model.parameters.elements(of: entry).elementsEqual(expected))
        }
    }

    @Test func readsGGUFTensorByTensor() throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make()
        let written = QuantizedModel(model: model, stored: [:])
        _ = try written.write(to: GGUFWriter(written.description, folder: folder.path))
        let source = try ModelLoader.open(path: folder.path)
        #expect(source.kind == .gguf && source.tokenizerJSON == nil)
        #expect(source.path == folder.path + "/model.gguf")
        try expectTensors(source, of: try ModelLoader.load(path: folder.path, team: Self.team))
    }

    @Test func openingNeedsEveryTensorButNoTokenizer() throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make()
        let written = QuantizedModel(model: model, stored: [:])
        _ = try written.write(
            to: HuggingFaceWriter(written.description, format: .bf16, folder: folder.path)
        )
        try FileManager.default.removeItem(atPath: folder.path + "/tokenizer.json")
        let source = try ModelLoader.open(path: folder.path)
        #expect(source.tokenizerJSON == nil)
        #expect(throws: ModelFileError.self) { try source.tokenizer() }
        let entries = model.parameters.layout.entries.filter { !$0.name.contains("1.mlp.up_proj") }
        let weights = try SafetensorsWriter(
            path: folder.path + "/model.safetensors",
            tensors: entries.map { .init(name: $0.name, type: .f32, shape: $0.shape) }
        )
        for entry in entries {
            let values = UnsafeRawBufferPointer(model.parameters.elements(of: entry))
            try weights.write(entry.name, values)
        }
        try weights.finish()
        let error = #expect(throws: ModelFileError.self) {
            _ = try ModelLoader.open(path: folder.path)
        }
        #expect(error?.message.contains("model.layers.1.mlp.up_proj.weight is missing") == true)
    }

    @Test func everyHalfIsItsValue() {
        for bits in UInt16.min ... .max {
            let (exponent, mantissa) = (Int(bits >> 10 & 31), Float(bits & 1023))
            let sign: FloatingPointSign = bits & 0x8000 == 0 ? .plus : .minus
            let magnitude =
                exponent == 31
                ? (mantissa == 0 ? Float.infinity : .nan)
                : exponent == 0
                    ? mantissa * 0x1p-24
                    : Float(sign: .plus, exponent: exponent - 25, significand: 1024 + mantissa)
            let expected = sign == .plus ? magnitude : -magnitude
            let value = HalfPrecision.float(bits)
            #expect(expected.isNaN ? value.isNaN : value == expected && value.sign == sign)
        }
    }
}
