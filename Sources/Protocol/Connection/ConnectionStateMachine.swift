package import NIOCore

/// One side of a qatrpc/1 connection: frames in, actions out, no I/O and no clock of its own.
///
/// Feed bytes with ``receive(_:)``, then obey ``next(now:)`` until it returns nil. Everything a
/// peer can send leads to an action; nothing traps.
package struct ConnectionStateMachine: Sendable {
    /// Which end of the connection this is.
    package enum Side: Sendable { case client, server }

    /// What the owner of the connection must do.
    package enum Action: Sendable {
        /// Write these bytes.
        case send(ByteBuffer)
        /// HELLO is done; calls may flow. A server writes the acknowledgement first.
        case ready(NegotiatedLimits, ByteBuffer?)
        /// A server's peer opened a call; `hasEnded` if it sends nothing more.
        case open(stream: UInt32, CallEnvelope, hasEnded: Bool)
        /// A whole message or a piece of a blob; give `credit` back when it is consumed.
        case message(stream: UInt32, ByteBuffer, credit: Int, ends: Bool)
        /// The peer sends nothing more on the stream.
        case end(stream: UInt32)
        /// A client's call is over.
        case finish(stream: UInt32, CallStatus)
        /// The caller gave up.
        case cancel(stream: UInt32)
        /// Credit arrived for one stream, or for the connection if nil.
        case writable(stream: UInt32?)
        /// The peer takes no more calls; those in `refused` were never begun.
        case goAway(GoAway, refused: [UInt32])
        /// Write the bytes, flush, close; fail what is left with the error.
        case close(RPCError, ByteBuffer?)
    }

    enum Phase: Sendable {
        case awaitingPreface, awaitingHello, awaitingHelloAck, open, closed
    }

    struct StreamState: Sendable {
        var receiveCredit: Int
        var sendCredit: Int
        var partial = ByteBuffer()
        var isPartial = false
        var hasEndedRemotely = false
        /// Whether its CALL came or went; before that, the peer knows nothing of it.
        var hasBegun = true
        /// Credit for pieces of an unfinished message, granted as they are taken in.
        var ingestedCredit = 0
    }

    static let preface: [UInt8] = Array("QATRPC1\n".utf8)

    let side: Side
    let limits: ConnectionLimits
    let local: LocalEndpoint
    var phase: Phase
    var decoder: FrameDecoder
    var negotiated: NegotiatedLimits?
    var streams: [UInt32: StreamState] = [:]
    /// Highest stream number seen or used.
    var highestStream: UInt32 = 0
    var runningCalls = 0
    /// Bytes of messages that are not whole yet.
    var partialByteCount = 0
    var receiveConnectionCredit: Int
    var ingestedConnectionCredit = 0
    var sendConnectionCredit = 0
    var queued: [Action] = []
    var keepalive: Keepalive
    var controlBudget: TokenBucket
    var drain: DrainState?

    /// Makes the state of a connection whose TLS handshake is done.
    package init(
        side: Side,
        limits: ConnectionLimits,
        local: LocalEndpoint,
        now: ContinuousClock.Instant
    ) {
        self.side = side
        self.limits = limits
        self.local = local
        phase = side == .client ? .awaitingHelloAck : .awaitingPreface
        decoder = FrameDecoder(frameByteLimit: ControlLimits.controlByteCount)
        receiveConnectionCredit = limits.connectionCreditByteCount
        keepalive = Keepalive(limits: limits, now: now)
        controlBudget = TokenBucket(
            perSecond: ControlLimits.controlFramesPerSecond,
            burst: ControlLimits.controlFrameBurst,
            now: now
        )
    }

    /// Takes bytes as they come.
    package mutating func receive(_ bytes: ByteBuffer) {
        guard phase != .closed else { return }
        decoder.append(bytes)
    }

    /// The next thing to do, or nil until more bytes come.
    package mutating func next(now: ContinuousClock.Instant) -> Action? {
        while true {
            if !queued.isEmpty { return queued.removeFirst() }
            guard phase != .closed else { return nil }
            do {
                if phase == .awaitingPreface {
                    guard try readPreface() else { return nil }
                }
                guard let frame = try decoder.next() else { return nil }
                if let action = try take(frame, now) { return action }
            } catch {
                return abort(Self.violation(error))
            }
        }
    }

    /// Streams that are not over.
    package var openStreamCount: Int { streams.count }

    /// Whether the stream is not over.
    package func isOpen(_ id: UInt32) -> Bool { streams[id] != nil }

    /// Forgets a stream; false if there is none.
    @discardableResult
    mutating func closeStream(_ id: UInt32) -> Bool {
        guard let stream = streams.removeValue(forKey: id) else { return false }
        partialByteCount -= stream.partial.readableBytes
        return true
    }

    /// Whether new calls may be opened.
    package var acceptsCalls: Bool { phase == .open && drain == nil }

    /// Ends the connection because of a fault of the peer.
    mutating func abort(_ violation: ProtocolViolation) -> Action {
        phase = .closed
        var bytes = ByteBuffer()
        let abort = Abort(code: violation.code.rawValue, message: violation.message)
        // An Abort of ours is far below the limit of a control frame.
        try? bytes.writeFrame(.abort, message: abort)
        let error = RPCError(
            .unavailable,
            "the peer broke the protocol: \(violation.message)",
            category: .reconnect
        )
        return .close(error, bytes)
    }

    private mutating func readPreface() throws -> Bool {
        guard let bytes = decoder.takePrefix(Self.preface.count) else { return false }
        guard bytes.elementsEqual(Self.preface) else {
            throw ProtocolViolation(.protocolError, "the connection does not begin with QATRPC1")
        }
        phase = .awaitingHello
        return true
    }

    private static func violation(_ error: any Error) -> ProtocolViolation {
        switch error {
        case let violation as ProtocolViolation:
            violation
        case FrameError.tooLarge(let length, let limit):
            ProtocolViolation(.frameTooLarge, "a frame of \(length) bytes; the limit is \(limit)")
        case FrameError.reservedBits(let bits):
            ProtocolViolation(.protocolError, "reserved bytes are \(bits), not 0")
        case FrameError.unknownFlags(let bits):
            ProtocolViolation(.protocolError, "unknown flags in \(bits)")
        case let error as RPCError:
            ProtocolViolation(.protocolError, error.message)
        default:
            ProtocolViolation(.internalError, "\(error)")
        }
    }
}
