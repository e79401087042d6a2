internal import Transformer

/// The metadata of a GGUF file that is to be written, in order.
struct GGUFHeaderKeys {
    private(set) var pairs: [(key: String, value: ByteWriter.Value)]
    /// What the file says otherwise than the source.
    private(set) var notes: [String] = []

    private static let typeKey = "general.file_type"

    /// Another GGUF file's general and tokenizer keys as they are, or those that are made of the
    /// source's files.
    ///
    /// - Throws: ``ModelFileError`` if there is no tokenizer that llama.cpp reads.
    init(
        _ description: ExportDescription,
        _ architecture: GGUFMetadata,
        alignment: Int
    ) throws(ModelFileError) {
        pairs = [("general.architecture", .text(architecture.architecture))]
        let tokenizer: [(key: String, value: ByteWriter.Value)]
        if case .gguf(let origin) = description.source.origin {
            let carried = try Self.carried(
                origin,
                rows: description.configuration.vocabularySize
            )
            if origin.text("general.name") == nil {
                pairs.append(("general.name", .text(description.source.name)))
            }
            pairs += carried.filter { $0.key.hasPrefix("general.") }
            tokenizer = carried.filter { $0.key.hasPrefix("tokenizer.") }
        } else {
            let made = try GGUFTokenizerKeys(description)
            tokenizer = made.pairs
            notes = made.notes
            var general = try GGUFGeneralKeys.pairs(
                of: description.source,
                parameterCount: ParameterLayout(configuration: description.configuration).totalCount
            )
            notes += Self.rename(&general, try description.tokenizer())
            pairs += general
        }
        pairs += [
            (Self.typeKey, .unsigned(0)),
            ("general.quantization_version", .unsigned(2)),
            ("general.alignment", .unsigned(UInt32(alignment))),
            (
                GGUFConfiguration.familyKey,
                .text(description.configuration.architecture.family)
            ),
        ]
        pairs += architecture.pairs
        pairs += description.fileMetadata.sorted { $0.key < $1.key }.map {
            ($0.key, .text($0.value))
        }
        pairs += tokenizer
    }

    /// Spells a name otherwise by which llama.cpp would look for tokens that are not there, and fail.
    ///
    /// - SeeAlso: llama.cpp, `src/llama-vocab.cpp`: attributes of tokens by `general.name`.
    private static func rename(
        _ pairs: inout [(key: String, value: ByteWriter.Value)],
        _ tokenizer: Tokenizer
    ) -> [String] {
        guard let index = pairs.firstIndex(where: { $0.key == "general.name" }),
            case .text(let name) = pairs[index].value
        else { return [] }
        let other = name.replacing(/(?i)(phi)-?3/) { "\($0.output.1) 3" }
        guard other != name else { return [] }
        let needed = ["</s>", "<unk>", "<s>", "<|endoftext|>"]
        let missing = needed.filter { token in
            !tokenizer.vocabulary.contains { $0.utf8.elementsEqual(token.utf8) }
        }
        guard !missing.isEmpty else { return [] }
        pairs[index].value = .text(other)
        return [
            """
            general.name is "\(other)": by "\(name)" llama.cpp looks for \
            \(missing.joined(separator: ", ")), which the tokenizer does not have
            """
        ]
    }

    /// The keys of another GGUF file; lists of tokens that are shorter than the embedding are filled.
    private static func carried(
        _ origin: GGUFOrigin,
        rows: Int
    ) throws(ModelFileError) -> [(key: String, value: ByteWriter.Value)] {
        let count = origin.tokenCount
        guard count <= rows else {
            throw ModelFileError(
                .malformed,
                "\(origin.file.path): \(count) tokens, but the embedding has \(rows) rows"
            )
        }
        let fillings: [String: (Int) -> ByteWriter.Value] = [
            "tokenizer.ggml.tokens": { .text("[PAD\($0)]") },
            "tokenizer.ggml.token_type": { _ in .integers([5]) },
            "tokenizer.ggml.scores": { _ in .floats([-10_000]) },
        ]
        return origin.pairs.map { pair in
            var bytes = origin.bytes(of: pair)
            if count > 0, count < rows, let filling = fillings[pair.key], bytes.count >= 16 {
                // The type of the list, that of its elements, and their number come first.
                var writer = ByteWriter()
                for id in count..<rows { writer.element(filling(id)) }
                let total = withUnsafeBytes(of: UInt64(rows).littleEndian) { Array($0) }
                bytes = bytes[..<8] + total + bytes[16...] + writer.bytes
            }
            return (pair.key, .stored(bytes))
        }
    }

    /// Says of which types the weights are.
    mutating func setTypes(_ types: Set<GGUFTensorType>) {
        guard let index = pairs.firstIndex(where: { $0.key == Self.typeKey }) else { return }
        pairs[index].value = .unsigned(Self.fileType(types))
    }

    /// llama.cpp's number for what most weights are: the narrowest type, as others stand in for it.
    private static func fileType(_ types: Set<GGUFTensorType>) -> UInt32 {
        let written = GGUFTensorEncoder.Block.allCases.map(\.type)
        let type = written.first { types.contains($0) } ?? .bf16
        return UInt32(type.fileTypes[0])
    }
}
