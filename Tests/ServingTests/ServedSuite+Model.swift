internal import Foundation
internal import Transformer

@testable internal import ModelFiles

extension ServedSuite {
    /// A model of single bytes whose texts may be long.
    static func writeModel(to folder: String) throws {
        var next: UInt32 = 256
        let vocabulary = (UInt32(0)...255).map { byte -> String in
            let isPrintable =
                (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
            let scalar = isPrintable ? UnicodeScalar(byte) : UnicodeScalar(next)
            next += isPrintable ? 0 : 1
            return scalar.map { String($0) } ?? ""
        }
        let tokenizer = try Tokenizer(
            vocabulary: vocabulary,
            merges: [],
            addedTokens: [],
            preTokenizer: .gpt2
        )
        let configuration = ModelConfiguration(
            vocabularySize: 256,
            hiddenSize: 64,
            intermediateSize: 96,
            layerCount: 2,
            headCount: 4,
            keyValueHeadCount: 2,
            maximumPositions: 8192,
            tiedEmbeddings: true
        )
        let model = LoadedModel(
            parameters: try Parameters.random(
                configuration: configuration,
                seed: 4,
                deviation: 0.3
            ),
            tokenizer: tokenizer,
            source: .huggingFace,
            storedByteCount: 0,
            tokenizerJSON: nil,
            chatTemplate:
                "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant] "
        )
        let plain = QuantizedModel(model: model, stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .f32, folder: folder)
        )
    }
}
