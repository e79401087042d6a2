internal import Foundation

/// Writes a corpus in Megatron's indexed format, a sequence a document.
///
/// Both files are written aside and take their names in ``commit()``; dropped before, nothing is left. A crash
/// amid that leaves tokens without an index, which no reader takes for a corpus. Not for concurrent use.
public final class CorpusWriter {
    /// Documents so far.
    public var documentCount: Int { lengths.count }
    /// Tokens so far.
    public private(set) var tokenCount = 0
    /// Where both files are until ``commit()``: what a process that is ended leaves, unless it removes them.
    public var temporaryPaths: [String] { [tokens.temporary, index.temporary] }
    /// How tokens are stored.
    public let type: TokenType
    private let prefix: String
    private let tokens: AtomicFile
    private let index: AtomicFile
    private var lengths: [Int32] = []
    private var buffer: [UInt8] = []
    /// Bytes that are in the file.
    private var written = 0

    private static let bufferSize = 1 << 20

    /// Begins the files `prefix.bin` and `prefix.idx`, for a model of so many tokens.
    ///
    /// - Throws: ``ModelFileError`` (`inputOutput`, `noSpace`).
    public init(prefix: String, vocabularySize: Int) throws(ModelFileError) {
        self.prefix = prefix
        type = TokenType.smallest(vocabularySize: vocabularySize)
        tokens = try AtomicFile(path: prefix + ".bin")
        index = try AtomicFile(path: prefix + ".idx")
        buffer.reserveCapacity(Self.bufferSize + 1024)
    }

    /// Adds a document of tokens in the vocabulary.
    ///
    /// - Throws: ``ModelFileError``: `unsupported` for more tokens or documents than the format numbers;
    ///   `inputOutput`, `noSpace`.
    public func append(_ document: [Int32]) throws(ModelFileError) {
        guard document.count <= Int(Int32.max), lengths.count < Int(Int32.max) else {
            throw ModelFileError(
                .unsupported,
                "a document of \(document.count) tokens, behind \(lengths.count); at most \(Int32.max)"
            )
        }
        lengths.append(Int32(document.count))
        tokenCount += document.count
        for token in document {
            switch type {
            case .uint16: Self.add(UInt16(token), to: &buffer)
            default: Self.add(token, to: &buffer)
            }
            if buffer.count >= Self.bufferSize { try flush() }
        }
    }

    /// Makes the corpus durable under its names.
    ///
    /// - Throws: ``ModelFileError`` (`inputOutput`, `noSpace`).
    public func commit() throws(ModelFileError) {
        try flush()
        let bytes = indexBytes
        try index.write(bytes, at: 0)
        // Until the new index is there, the old one must not stand beside other tokens.
        try? FileManager.default.removeItem(atPath: prefix + ".idx")
        try tokens.commit()
        try index.commit()
    }

    private func flush() throws(ModelFileError) {
        guard !buffer.isEmpty else { return }
        try tokens.write(buffer, at: written)
        written += buffer.count
        buffer.removeAll(keepingCapacity: true)
    }

    private var indexBytes: [UInt8] {
        var bytes = CorpusIndex.magic
        bytes.reserveCapacity(CorpusIndex.headerByteCount + 20 * lengths.count + 8)
        Self.add(CorpusIndex.version, to: &bytes)
        bytes.append(type.rawValue)
        Self.add(UInt64(lengths.count), to: &bytes)
        Self.add(UInt64(lengths.count + 1), to: &bytes)
        for length in lengths { Self.add(length, to: &bytes) }
        var start: Int64 = 0
        for length in lengths {
            Self.add(start, to: &bytes)
            start += Int64(length) * Int64(type.byteCount)
        }
        for border in 0...Int64(lengths.count) { Self.add(border, to: &bytes) }
        return bytes
    }

    private static func add(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
