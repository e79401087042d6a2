internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// A small random model with the SmolLM-style fixture tokenizer.
enum TinyModel {
    static func make(tied: Bool = true, seed: UInt64 = 1) throws -> LoadedModel {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let json = [UInt8](try Data(contentsOf: folder.appending(path: "smollm.json")))
        let tokenizer = try Tokenizer(tokenizerJSON: json)
        let configuration = ModelConfiguration(
            vocabularySize: tokenizer.vocabularySize,
            hiddenSize: 64,
            intermediateSize: 96,
            layerCount: 2,
            headCount: 4,
            keyValueHeadCount: 2,
            rotary: RotaryEmbedding(theta: 50_000),
            maximumPositions: 128,
            tiedEmbeddings: tied,
            bosToken: 0,
            eosTokens: [1]
        )
        return LoadedModel(
            parameters: try Parameters.random(
                configuration: configuration,
                seed: seed,
                deviation: 0.2
            ),
            tokenizer: tokenizer,
            source: .huggingFace,
            storedByteCount: 0,
            tokenizerJSON: json,
            chatTemplate: "{{ messages }}"
        )
    }
}

/// A folder that goes when the test ends.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/qat-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func write(_ bytes: [UInt8], _ name: String) throws -> String {
        let file = path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }
}
