internal import NIOCore
internal import Synchronization

/// One call on a connection, as tasks see it: an inbox, an outbox, and the loop behind them.
final class CallStream: Sendable {
    let inbox: CallInbox
    let outbox: CallOutbox
    let link: ConnectionLink
    /// The stream's number; 0 until the loop has given it one.
    let number = Atomic<UInt32>(0)
    private let limits: NegotiatedLimits

    init(link: ConnectionLink, limits: NegotiatedLimits) {
        self.link = link
        self.limits = limits
        inbox = CallInbox(meter: link.untaken)
        outbox = CallOutbox(meter: link.unsent)
    }

    /// Opens the call; a small first message rides in the envelope.
    ///
    /// - Throws: ``RPCError`` (`invalidArgument`) if the message is too long: sending it again cannot help.
    func open(
        _ envelope: CallEnvelope,
        first: (some WireMessage)?,
        endStream: Bool
    ) throws {
        var envelope = envelope
        var body = ByteBuffer()
        if let first {
            do {
                try MessageCodec.encode(first, into: &body, limit: limits.messageByteCount)
            } catch let error as RPCError where error.code == .resourceExhausted {
                throw RPCError(.invalidArgument, error.message)
            }
        }
        let isInline = first != nil && body.readableBytes <= ControlLimits.inlineMessageByteCount
        if isInline { envelope.message = [UInt8](buffer: body) }
        let isDone = endStream && (first == nil || isInline)
        try post { frames in
            try frames.writeFrame(.call, flags: isDone ? .endStream : [], message: envelope)
            if first != nil, !isInline {
                self.split(body, into: &frames, ending: endStream ? .endStream : [])
            }
        }
    }

    /// Sends one message, then waits if the peer is behind.
    ///
    /// - Throws: ``RPCError`` if the message is too long or the stream is over.
    func send(_ message: some WireMessage) async throws {
        try enqueue(message)
        try await outbox.waitForRoom()
    }

    /// Sends one message without waiting for the peer.
    func enqueue(_ message: some WireMessage) throws {
        try post { try self.write(message, into: &$0) }
    }

    /// Sends a piece of a blob, then waits if the peer is behind.
    func sendBlob(_ bytes: some Sequence<UInt8>) async throws {
        var left = ByteBuffer(bytes: bytes)
        repeat {
            // A peer that is behind on many streams gets a little of each, not a window of each.
            let length = outbox.isConnectionBehind ? Self.smallPieceByteCount : left.readableBytes
            let piece = left.readSlice(length: min(length, left.readableBytes)) ?? ByteBuffer()
            try post { self.split(piece, into: &$0, type: .blob, ending: []) }
            try await outbox.waitForRoom()
        } while left.readableBytes > 0
    }

    private static let smallPieceByteCount = 16 << 10

    /// Sends what the blob's first frame tells.
    func sendBlobHeader(_ header: BlobHeader) throws {
        try post { frames in
            frames.writeFrameHeader(FrameHeader(length: BlobHeader.byteCount, type: .blob))
            header.write(into: &frames)
        }
    }

    /// Says that nothing more comes from this side.
    func endSending(blob: Bool = false) throws {
        try post { $0.writeFrame(blob ? .blob : .data, flags: .endStream) }
    }

    /// Ends the call, the reply before it if there is one; server only.
    func finish(_ status: CallStatus, reply: (some WireMessage)?) throws {
        try post(ending: true) { frames in
            if let reply { try self.write(reply, into: &frames) }
            try frames.writeFrame(.status, message: status)
        }
    }

    /// Tells the server that nobody waits any more; client only.
    func cancel(_ error: RPCError) {
        inbox.finish(.failed(error))
        link.cancel(self, error)
    }

    /// Grants credit for `byteCount` consumed bytes, in lots.
    func consumed(_ byteCount: Int) {
        if outbox.giveBack(byteCount, threshold: limits.localStreamCredit / 4) {
            link.schedule(self)
        }
    }

    private func post(
        ending: Bool = false,
        _ body: (inout ByteBuffer) throws -> Void
    ) throws {
        if try outbox.append(ending: ending, body) { link.schedule(self) }
    }

    private func write(_ message: some WireMessage, into frames: inout ByteBuffer) throws {
        let start = frames.writerIndex
        frames.writeFrameHeader(FrameHeader(length: 0, type: .data))
        do {
            try MessageCodec.encode(message, into: &frames, limit: limits.messageByteCount)
        } catch {
            frames.moveWriterIndex(to: start)
            throw error
        }
        let length = frames.writerIndex - start - FrameHeader.byteCount
        if length <= limits.frameByteCount {
            let header = FrameHeader(length: length, type: .data)
            frames.setInteger(header.word, at: start)
        } else if let body = frames.getSlice(at: start + FrameHeader.byteCount, length: length) {
            frames.moveWriterIndex(to: start)
            split(body, into: &frames, ending: [])
        }
    }

    private func split(
        _ body: ByteBuffer,
        into frames: inout ByteBuffer,
        type: FrameType = .data,
        ending: FrameFlags
    ) {
        var body = body
        repeat {
            let length = min(body.readableBytes, limits.frameByteCount)
            let piece = body.readSlice(length: length) ?? ByteBuffer()
            let isLast = body.readableBytes == 0
            let flags = isLast ? ending : type == .data ? .more : []
            frames.writeFrame(type, flags: flags, payload: piece)
        } while body.readableBytes > 0
    }
}

extension ByteBuffer {
    /// Appends a frame whose payload is `message`.
    mutating func writeFrame(
        _ type: FrameType,
        flags: FrameFlags = [],
        stream: UInt32 = 0,
        message: some WireMessage
    ) throws {
        let start = writerIndex
        writeFrameHeader(FrameHeader(length: 0, type: type, flags: flags, stream: stream))
        do {
            try MessageCodec.encode(message, into: &self, limit: ControlLimits.controlByteCount)
        } catch {
            moveWriterIndex(to: start)
            throw error
        }
        let length = writerIndex - start - FrameHeader.byteCount
        let header = FrameHeader(length: length, type: type, flags: flags, stream: stream)
        setInteger(header.word, at: start)
    }
}
