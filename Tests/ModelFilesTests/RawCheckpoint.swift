internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// A tensor as it stands in a safetensors file.
struct RawTensor {
    let name: String
    let type: SafetensorsType
    let shape: [Int]
    let bytes: [UInt8]

    init(_ name: String, _ type: SafetensorsType, _ shape: [Int], _ bytes: [UInt8]) {
        (self.name, self.type, self.shape, self.bytes) = (name, type, shape, bytes)
    }
}

/// A folder with the tiny model's weights in FP32, but for some that are given as raw tensors.
struct RawCheckpoint {
    private let modules: [String]
    private let tensors: [RawTensor]
    private let quantization: String
    private let files: [String: String]

    init(
        replacing modules: [String] = [],
        with tensors: [RawTensor],
        quantization: String = "null",
        _ files: [String: String] = [:]
    ) {
        self.modules = modules
        self.tensors = tensors
        self.quantization = quantization
        self.files = files
    }

    func write(to folder: TemporaryFolder) throws {
        let model = try TinyModel.make()
        var all = tensors
        for entry in model.parameters.layout.entries where !modules.contains(entry.module) {
            let bytes = Array(UnsafeRawBufferPointer(model.parameters.elements(of: entry)))
            all.append(RawTensor(entry.name, .f32, entry.shape, bytes))
        }
        let writer = try SafetensorsWriter(
            path: folder.path + "/model.safetensors",
            tensors: all.map { .init(name: $0.name, type: $0.type, shape: $0.shape) }
        )
        for tensor in all { try writer.write(tensor.name, tensor.bytes) }
        try writer.finish()
        let json = try HuggingFaceConfiguration.render(
            model.configuration,
            dtype: "float32",
            quantization: nil
        )
        let text = String(decoding: json, as: UTF8.self)
        let config = text.dropLast() + #", "quantization_config": \#(quantization)}"#
        _ = try folder.write(Array(config.utf8), "config.json")
        _ = try folder.write(try #require(model.tokenizerJSON), "tokenizer.json")
        for (name, text) in files { _ = try folder.write(Array(text.utf8), name) }
    }
}
