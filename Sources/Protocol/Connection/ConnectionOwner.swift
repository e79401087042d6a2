internal import NIOCore

/// Who a connection works for: the server's calls, or a client's session.
///
/// Every method runs on the connection's event loop and must return at once.
protocol ConnectionOwner: Sendable {
    /// The TLS peer is known; refuse it by throwing.
    func admit(_ peer: PeerIdentity) throws
    /// HELLO is done.
    func ready(_ link: ConnectionLink, _ limits: NegotiatedLimits, peer: PeerIdentity)
    /// A peer opened a call; the task that runs it, or nil if it was answered at once.
    func open(
        _ stream: CallStream,
        _ envelope: CallEnvelope,
        peer: PeerIdentity
    ) -> Task<Void, Never>?
    /// The peer takes no more calls.
    func goAway(_ notice: GoAway)
    /// The connection is over.
    func closed(_ error: RPCError)
}

/// A stream as the event loop sees it; touched on the loop only.
final class LoopStream {
    let stream: CallStream
    /// Frames that wait for credit or for their turn.
    var held = ByteBuffer()
    /// Whether it stands in the line of streams that have a turn coming.
    var isInLine = false
    var deadline: Scheduled<Void>?
    var task: Task<Void, Never>?

    init(stream: CallStream) { self.stream = stream }

    /// The storage of frames that were all sent, for the tasks to fill again.
    func takeSpare() -> ByteBuffer? {
        guard held.readableBytes == 0 else { return nil }
        defer { held = ByteBuffer() }
        return held
    }

    /// Adds frames.
    func hold(_ frames: ByteBuffer) {
        if held.readableBytes == 0 {
            held = frames
        } else {
            if held.readerIndex > held.readableBytes { held.discardReadBytes() }
            held.writeImmutableBuffer(frames)
        }
    }
}
