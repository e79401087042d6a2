/// The `.idx` file of a corpus: its token type, and where each document begins in the `.bin` file.
///
/// Little-endian, without padding: `MMIDIDX\0\0`, the version 1 (uint64), a code of the token type (uint8),
/// the numbers of sequences and of document borders (uint64 each); then of each sequence its tokens
/// (int32), and its first byte (int64); and the borders (int64): 0, and behind each document the number of
/// sequences so far. Megatron samples sequences, and its preprocessing writes one a document; they are
/// called documents here.
///
/// - SeeAlso: Megatron-Core, `megatron/core/datasets/indexed_dataset.py`.
struct CorpusIndex: Sendable {
    static let magic = Array("MMIDIDX".utf8) + [0, 0]
    static let version: UInt64 = 1
    /// Bytes before the sequences' lengths.
    static let headerByteCount = 34

    let type: TokenType
    /// Sequences, each of which is sampled as a document.
    let count: Int
    /// Tokens of all.
    let tokenCount: Int
    private let file: MappedFile

    /// Reads an index and checks every value in it.
    ///
    /// `name`: What messages call it.
    ///
    /// - Throws: ``ModelFileError`` (`inputOutput`, `malformed`, `unsupported`), with the place.
    init(path: String, name: String) throws(ModelFileError) {
        let file = try MappedFile(path: path)
        defer { withExtendedLifetime(file) {} }
        func malformed(_ what: String) -> ModelFileError {
            ModelFileError(.malformed, "\(name): \(what)")
        }
        let bytes = file.bytes
        guard bytes.starts(with: Self.magic) else {
            throw malformed("no index of a corpus: it does not start with MMIDIDX")
        }
        guard bytes.count >= Self.headerByteCount else {
            throw malformed(
                "truncated: \(bytes.count) bytes of a header of \(Self.headerByteCount)"
            )
        }
        func word(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        guard word(9) == Self.version else {
            throw ModelFileError(
                .unsupported,
                "\(name): version \(word(9)) of the index; read is version \(Self.version)"
            )
        }
        type = try Self.type(bytes[17], name)
        let (sequences, borders) = (word(18), word(26))
        try Self.checkSize(bytes.count, sequences, borders, name)
        self.file = file
        count = Int(sequences)
        tokenCount = try Self.checkLengths(bytes, count, type, name)
        try Self.checkBorders(bytes, count: count, borders: Int(borders), name)
    }

    /// The tokens of a document.
    func length(of document: Int) -> Int {
        precondition((0..<count).contains(document), "document \(document) of \(count)")
        defer { withExtendedLifetime(file) {} }
        return Self.length(file.bytes, document)
    }

    /// How many tokens come before a document; `count` asks for all.
    func start(of document: Int) -> Int {
        precondition((0...count).contains(document), "document \(document) of \(count)")
        guard document < count else { return tokenCount }
        defer { withExtendedLifetime(file) {} }
        return Self.pointer(file.bytes, document, of: count) / type.byteCount
    }

    /// The document that holds a token.
    func document(ofToken token: Int) -> Int {
        var (low, high) = (0, count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if start(of: middle) <= token { low = middle } else { high = middle }
        }
        return low
    }

    private static func length(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Int {
        let offset = headerByteCount + 4 * index
        return Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)))
    }

    private static func pointer(
        _ bytes: UnsafeRawBufferPointer,
        _ index: Int,
        of count: Int
    ) -> Int {
        let offset = headerByteCount + 4 * count + 8 * index
        return Int(Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self)))
    }

    private static func type(_ code: UInt8, _ name: String) throws(ModelFileError) -> TokenType {
        if let type = TokenType(rawValue: code) { return type }
        guard let other = TokenType.otherName(code) else {
            throw ModelFileError(.malformed, "\(name): \(code) is no code of a token type")
        }
        throw ModelFileError(.unsupported, "\(name): \(other) is no type of tokens")
    }

    /// Checks that the file is as long as its counts say.
    private static func checkSize(
        _ size: Int,
        _ sequences: UInt64,
        _ borders: UInt64,
        _ name: String
    ) throws(ModelFileError) {
        // Megatron numbers them with 32 bits; nothing below overflows within that.
        let limit = UInt64(Int32.max)
        guard sequences <= limit, borders <= limit else {
            throw ModelFileError(
                .malformed,
                """
                \(name): \(sequences) sequences and \(borders) document borders; the format has at most \
                \(limit)
                """
            )
        }
        let expected = headerByteCount + 12 * Int(sequences) + 8 * Int(borders)
        guard size != expected else { return }
        if size == expected + Int(sequences) {
            throw ModelFileError(
                .unsupported,
                "\(name): it holds a mode per sequence, as of a multimodal corpus; read is text"
            )
        }
        throw ModelFileError(
            .malformed,
            """
            \(name): \(size < expected ? "truncated" : "too long"): \(sequences) sequences and \(borders) \
            document borders take \(expected) bytes, the file has \(size)
            """
        )
    }

    /// Checks lengths and pointers, which follow each other without gaps; returns all tokens.
    private static func checkLengths(
        _ bytes: UnsafeRawBufferPointer,
        _ count: Int,
        _ type: TokenType,
        _ name: String
    ) throws(ModelFileError) -> Int {
        var total = 0
        for index in 0..<count {
            let length = length(bytes, index)
            guard length >= 0 else {
                throw ModelFileError(
                    .malformed,
                    "\(name): sequence \(index) of \(count) has \(length) tokens"
                )
            }
            let pointer = pointer(bytes, index, of: count)
            guard pointer == total * type.byteCount else {
                throw ModelFileError(
                    .malformed,
                    """
                    \(name): sequence \(index) of \(count) begins at byte \(pointer); expected \
                    \(total * type.byteCount), behind the one before
                    """
                )
            }
            total += length
            guard total <= .max >> 3 else {
                throw ModelFileError(.malformed, "\(name): more tokens than a file can have")
            }
        }
        return total
    }

    private static func checkBorders(
        _ bytes: UnsafeRawBufferPointer,
        count: Int,
        borders: Int,
        _ name: String
    ) throws(ModelFileError) {
        let start = headerByteCount + 12 * count
        var last: Int64 = 0
        for index in 0..<borders {
            let offset = start + 8 * index
            let border = Int64(
                littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self)
            )
            guard (last...Int64(count)).contains(border), index > 0 || border == 0 else {
                throw ModelFileError(
                    .malformed,
                    """
                    \(name): document border \(index) of \(borders) is \(border); expected \
                    \(index == 0 ? "0" : "\(last) … \(count)")
                    """
                )
            }
            last = border
        }
    }
}
