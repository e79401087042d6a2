internal import NIOCore

/// How far a drain has come.
struct DrainState: Sendable {
    /// Whether the last stream number has been told, so that later calls are not served.
    var isFinal: Bool
    /// When running calls are given up.
    var deadline: ContinuousClock.Instant
    /// When the final number is told even without an answer.
    var finalBy: ContinuousClock.Instant
}

extension ConnectionStateMachine {
    private static let drainPing: UInt64 = 0x6472_6169_6E00_0001
    private static let keepalivePing: UInt64 = 0x6B65_6570_0000_0001
    private static let toleratedPings = 2
    private static let drainRoundTrip = Duration.seconds(1)

    /// Begins to refuse new calls; the connection closes when the running ones are done.
    package mutating func beginDrain(now: ContinuousClock.Instant) throws {
        guard drain == nil, phase == .open else { return }
        drain = DrainState(
            isFinal: side == .client,
            deadline: now + limits.drainTimeout,
            finalBy: now + Self.drainRoundTrip
        )
        guard side == .server else { return closeIfDrained() }
        var bytes = ByteBuffer()
        try writeGoAway(last: .max, .shutdown, &bytes)
        bytes.writeFrameHeader(FrameHeader(length: 8, type: .ping))
        bytes.writeInteger(Self.drainPing)
        queued.append(.send(bytes))
    }

    /// What the passing of time asks for: keepalive, time limits.
    package mutating func tick(now: ContinuousClock.Instant) throws {
        switch phase {
        case .closed: return
        case .awaitingPreface, .awaitingHello, .awaitingHelloAck:
            guard now - keepalive.started >= limits.handshakeTimeout else { return }
            queued.append(abort(ProtocolViolation(.handshakeTimeout, "HELLO took too long")))
            return
        case .open: break
        }
        if let drain {
            if !drain.isFinal, now >= drain.finalBy { try finishDrain() }
            if now >= drain.deadline { close("the drain ran out of time") }
        }
        switch keepalive.due(now, isBusy: !streams.isEmpty) {
        case .nothing: break
        case .ping:
            var bytes = ByteBuffer()
            bytes.writeFrameHeader(FrameHeader(length: 8, type: .ping))
            bytes.writeInteger(Self.keepalivePing)
            queued.append(.send(bytes))
        case .dead:
            let message = "nothing was heard from the peer for \(limits.pingTimeout)"
            queued.append(abort(ProtocolViolation(.keepaliveTimeout, message)))
        }
    }

    mutating func takePing(_ frame: Frame, _ now: ContinuousClock.Instant) throws -> Action? {
        guard frame.header.length == 8 else {
            throw ProtocolViolation(.protocolError, "PING of \(frame.header.length) bytes")
        }
        try payForControlFrame(now)
        var bytes = ByteBuffer()
        guard keepalive.acceptsPing(now, tolerated: Self.toleratedPings) else {
            try writeGoAway(last: highestStream, .tooManyPings, &bytes)
            phase = .closed
            return .close(RPCError(.unavailable, "the peer pings too often"), bytes)
        }
        bytes.writeFrame(.pong, payload: frame.payload)
        return .send(bytes)
    }

    mutating func takePong(_ frame: Frame, _ now: ContinuousClock.Instant) throws -> Action? {
        guard frame.header.length == 8 else {
            throw ProtocolViolation(.protocolError, "PONG of \(frame.header.length) bytes")
        }
        try payForControlFrame(now)
        let payload = frame.payload
        if payload.getInteger(at: payload.readerIndex) == Self.drainPing { try finishDrain() }
        return nil
    }

    mutating func takeGoAway(_ frame: Frame, _ now: ContinuousClock.Instant) throws -> Action? {
        guard side == .client else {
            throw ProtocolViolation(.protocolError, "GOAWAY from a client")
        }
        try payForControlFrame(now)
        let notice = try MessageCodec.decode(GoAway.self, from: frame.payload)
        let grace = limits.drainTimeout + .milliseconds(Int64(notice.drainMs))
        if drain == nil {
            drain = DrainState(isFinal: true, deadline: now + grace, finalBy: now)
        }
        let refused = streams.keys.filter { $0 > notice.lastStream }.sorted()
        for id in refused { closeStream(id) }
        closeIfDrained()
        return .goAway(notice, refused: refused)
    }

    /// Closes once a drain has nothing left to wait for.
    mutating func closeIfDrained() {
        guard let drain, drain.isFinal, streams.isEmpty, runningCalls == 0 else { return }
        close("the connection was drained")
    }

    private mutating func finishDrain() throws {
        guard side == .server, let state = drain, !state.isFinal else { return }
        drain?.isFinal = true
        var bytes = ByteBuffer()
        try writeGoAway(last: highestStream, .shutdown, &bytes)
        queued.append(.send(bytes))
        closeIfDrained()
    }

    private mutating func close(_ message: String) {
        guard phase != .closed else { return }
        phase = .closed
        queued.append(.close(RPCError(.unavailable, message, category: .reconnect), nil))
    }

    private func writeGoAway(
        last: UInt32,
        _ reason: GoAwayReason,
        _ output: inout ByteBuffer
    ) throws {
        let notice = GoAway(
            lastStream: last,
            reason: reason.rawValue,
            drainMs: UInt32(clamping: limits.drainTimeout.milliseconds),
            message: "\(reason)"
        )
        try output.writeFrame(.goAway, message: notice)
    }
}
