internal import NIOCore

/// The messages of a stream, in order; iterate it once.
///
/// Taking a message grants the sender credit for another.
public struct MessageStream<Message: WireMessage>: AsyncSequence, Sendable {
    /// What an iteration yields.
    public typealias Element = Message
    /// Why an iteration may end early: an ``RPCError``.
    public typealias Failure = any Error

    let stream: CallStream

    /// Takes the messages one by one.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private var records: RecordReader

        init(stream: CallStream) { records = RecordReader(stream: stream) }

        /// The next message, or nil after the last.
        ///
        /// - Throws: ``RPCError`` if the stream fails or a message is malformed.
        public mutating func next() async throws -> Message? {
            guard let record = try await records.next() else { return nil }
            return try MessageCodec.decode(Message.self, from: record)
        }

        /// The next message without asynchronous work, or nil if none is at hand.
        mutating func nextAtHand() throws -> Message? {
            guard let record = records.nextAtHand() else { return nil }
            return try MessageCodec.decode(Message.self, from: record)
        }
    }

    /// Starts the only iteration.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: stream) }
}

/// Takes the payloads of a stream from its inbox, and gives credit back for each.
struct RecordReader {
    let stream: CallStream
    private var records = ByteBuffer()
    private var owedCredit = 0

    init(stream: CallStream) { self.stream = stream }

    /// The next payload, or nil after the last.
    mutating func next() async throws -> ByteBuffer? {
        if let record = nextAtHand() { return record }
        var spare = ByteBuffer()
        swap(&spare, &records)
        spare.clear()
        guard let batch = try await stream.inbox.next(spare: spare) else { return nil }
        records = batch.records
        return nextAtHand()
    }

    /// The next payload that was already taken from the inbox.
    mutating func nextAtHand() -> ByteBuffer? {
        if owedCredit > 0 {
            stream.consumed(owedCredit)
            owedCredit = 0
        }
        guard let sizes = records.readMultipleIntegers(as: (UInt32, UInt32).self) else {
            return nil
        }
        owedCredit = Int(sizes.1)
        return records.readSlice(length: Int(sizes.0))
    }
}
