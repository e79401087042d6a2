internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Transformer

/// Writes tiny random models whose tokens are single bytes, with some added tokens behind them.
struct TinyModelFolder {
    var rows = 256
    var context = 64
    var layers = 1
    var added: [String] = []
    var architecture = Architecture.llama
    /// Tokens that change places.
    var swapped: (Int, Int)?

    func write(to folder: String) throws {
        var vocabulary: [String] = []
        var next: UInt32 = 256
        // GPT-2's alphabet: what prints stands for itself, the rest for what follows 255.
        for byte in UInt32(0)...255 {
            let isPrintable =
                (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
            let scalar = isPrintable ? UnicodeScalar(byte) : UnicodeScalar(next)
            next += isPrintable ? 0 : 1
            vocabulary.append(scalar.map { String($0) } ?? "")
        }
        if let (a, b) = swapped { vocabulary.swapAt(a, b) }
        let tokenizer = try Tokenizer(
            vocabulary: vocabulary + added,
            merges: [],
            addedTokens: added.enumerated().map {
                .init(text: $1, id: Int32(256 + $0), isSpecial: true)
            },
            preTokenizer: .gpt2
        )
        var configuration = ModelConfiguration(
            vocabularySize: rows,
            hiddenSize: 32,
            intermediateSize: 32,
            layerCount: layers,
            headCount: 2,
            keyValueHeadCount: 1,
            maximumPositions: context,
            tiedEmbeddings: true
        )
        configuration.architecture = architecture
        let description = ExportDescription(
            configuration: configuration,
            source: SourceFiles(),
            tokenizer: tokenizer,
            formats: [:]
        )
        let parameters = try Parameters.random(
            configuration: configuration,
            seed: 1,
            deviation: 0.1
        )
        // No bias is nothing, and BF16 holds all of them.
        for entry in parameters.layout.entries where entry.name.hasSuffix(".bias") {
            parameters.elements(of: entry).update(repeating: 0.5)
        }
        let writer = try HuggingFaceWriter(description, format: .f32, folder: folder)
        for entry in parameters.layout.entries {
            let values = UnsafeBufferPointer(parameters.elements(of: entry))
            try writer.write(entry, values: values, packed: nil)
        }
        _ = try writer.finish()
    }
}
