internal import NIOCore

/// The bytes of an upload, in pieces as they arrive; iterate it once.
///
/// The reader checks their number; whoever stores them checks the digest.
public struct BlobReader: AsyncSequence, Sendable {
    /// What an iteration yields.
    public typealias Element = [UInt8]
    /// Why an iteration may end early: an ``RPCError``.
    public typealias Failure = any Error

    /// Length of the whole blob, in bytes.
    public var size: UInt64 { header.size }
    /// SHA-256 of the whole blob, as the sender states it.
    public var digest: SHA256Digest { header.digest }
    /// Position of the first byte that follows.
    public var offset: UInt64 { header.offset }

    private let header: BlobHeader
    private let records: RecordReader

    init(header: BlobHeader, records: RecordReader) {
        self.header = header
        self.records = records
    }

    /// Takes the pieces one by one.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private var records: RecordReader
        private var missing: UInt64

        init(records: RecordReader, missing: UInt64) {
            self.records = records
            self.missing = missing
        }

        /// The next piece, or nil after the last byte.
        ///
        /// - Throws: ``RPCError`` (`dataLoss`) if more or fewer bytes come than were announced.
        public mutating func next() async throws -> [UInt8]? {
            guard let piece = try await records.next() else {
                guard missing == 0 else {
                    throw RPCError(.dataLoss, "the upload ended \(missing) bytes early")
                }
                return nil
            }
            guard UInt64(piece.readableBytes) <= missing else {
                throw RPCError(.dataLoss, "the upload is longer than announced")
            }
            missing -= UInt64(piece.readableBytes)
            return [UInt8](buffer: piece)
        }
    }

    /// Starts the only iteration.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(records: records, missing: header.size - header.offset)
    }
}

/// Sends the bytes of a download.
public struct BlobWriter: Sendable {
    let stream: CallStream

    /// Announces the blob; call it once, before the first byte.
    ///
    /// - Parameters:
    ///   - digest: SHA-256 of the whole blob.
    ///   - size: Length of the whole blob, in bytes.
    ///   - offset: Position of the first byte that follows.
    /// - Throws: ``RPCError`` if the call is over.
    public func begin(digest: SHA256Digest, size: UInt64, offset: UInt64 = 0) throws {
        guard offset <= size else {
            throw RPCError(.outOfRange, "offset \(offset) lies beyond the blob's \(size) bytes")
        }
        try stream.sendBlobHeader(BlobHeader(digest: digest, size: size, offset: offset))
    }

    /// Sends `bytes`; waits while the receiver is behind.
    ///
    /// - Throws: ``RPCError`` if the call is over or the task cancelled.
    public func write(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        try await stream.sendBlob(bytes)
    }
}
