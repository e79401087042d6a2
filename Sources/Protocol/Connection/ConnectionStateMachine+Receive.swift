internal import NIOCore

extension ConnectionStateMachine {
    /// Takes one frame; nil if nothing follows from it.
    mutating func take(_ frame: Frame, _ now: ContinuousClock.Instant) throws -> Action? {
        keepalive.heard(now)
        guard let type = frame.header.type else { return try takeUnknown(frame, now) }
        guard frame.header.flags.isDisjoint(with: .compressed) else {
            throw ProtocolViolation(.unimplemented, "compression was not agreed on")
        }
        if !type.isCredited {
            guard frame.header.length <= ControlLimits.controlByteCount else {
                throw ProtocolViolation(
                    .frameTooLarge,
                    "\(type) of \(frame.header.length) bytes; "
                        + "the limit is \(ControlLimits.controlByteCount)"
                )
            }
        }
        switch type {
        case .hello: return try takeHello(frame)
        case .helloAck: return try takeHelloAck(frame)
        case .abort: return try takeAbort(frame)
        default:
            guard phase == .open else {
                throw ProtocolViolation(.protocolError, "\(type) before HELLO was answered")
            }
        }
        switch type {
        case .call: return try takeCall(frame)
        case .data, .blob: return try takeData(frame, isBlob: type == .blob)
        case .status: return try takeStatus(frame)
        case .cancel: return try takeCancel(frame, now)
        case .credit: return try takeCredit(frame, now)
        case .ping: return try takePing(frame, now)
        case .pong: return try takePong(frame, now)
        case .goAway: return try takeGoAway(frame, now)
        case .hello, .helloAck, .abort: return nil
        }
    }

    private mutating func takeUnknown(
        _ frame: Frame,
        _ now: ContinuousClock.Instant
    ) throws -> Action? {
        guard frame.header.flags.contains(.ignorable) else {
            throw ProtocolViolation(.unimplemented, "frame type \(frame.header.rawType) is unknown")
        }
        try payForControlFrame(now)
        return nil
    }

    private func takeAbort(_ frame: Frame) throws -> Action? {
        let abort = try MessageCodec.decode(Abort.self, from: frame.payload)
        let isRefusal = abort.code == AbortCode.unauthorized.rawValue
        let error = RPCError(
            isRefusal ? .unauthenticated : .unavailable,
            "the peer ended the connection: \(abort.message)",
            category: isRefusal ? .permanent : .reconnect
        )
        return .close(error, nil)
    }

    private mutating func takeCall(_ frame: Frame) throws -> Action? {
        let stream = frame.header.stream
        guard side == .server, stream & 1 == 1, stream > highestStream else {
            throw ProtocolViolation(.protocolError, "CALL on stream \(stream)")
        }
        highestStream = stream
        guard let limits = negotiated else { return nil }
        if let drain, drain.isFinal { return nil }
        let envelope: CallEnvelope
        do {
            envelope = try MessageCodec.decode(CallEnvelope.self, from: frame.payload)
            try Self.check(envelope)
        } catch let error as RPCError {
            return try refuse(stream, error)
        }
        guard runningCalls < limits.runningCalls else {
            let message = "\(runningCalls) calls run on this connection; that is the limit"
            return try refuse(stream, RPCError(.unavailable, message, processed: .no))
        }
        runningCalls += 1
        let hasEnded = frame.header.flags.contains(.endStream)
        streams[stream] = StreamState(
            receiveCredit: limits.localStreamCredit,
            sendCredit: limits.peerStreamCredit,
            hasEndedRemotely: hasEnded
        )
        return .open(stream: stream, envelope, hasEnded: hasEnded)
    }

    private static func check(_ envelope: CallEnvelope) throws {
        let metadataByteCount = envelope.metadata.reduce(0) {
            $0 + $1.key.utf8.count + $1.value.utf8.count
        }
        guard (1...ControlLimits.methodByteCount).contains(envelope.method.utf8.count),
            envelope.callID.isEmpty || envelope.callID.count == 16,
            envelope.idempotencyKey.utf8.count <= ControlLimits.idempotencyKeyByteCount,
            envelope.metadata.count <= ControlLimits.metadataCount,
            metadataByteCount <= ControlLimits.metadataByteCount
        else {
            throw RPCError(.invalidArgument, "the call's envelope breaks a limit", processed: .no)
        }
    }

    /// Answers a call that no handler will see.
    private func refuse(_ stream: UInt32, _ error: RPCError) throws -> Action {
        var error = error
        error.processed = .no
        var bytes = ByteBuffer()
        try bytes.writeFrame(.status, stream: stream, message: error.status)
        return .send(bytes)
    }

    private mutating func takeData(_ frame: Frame, isBlob: Bool) throws -> Action? {
        let cost = frame.header.length + FrameHeader.byteCount
        receiveConnectionCredit -= cost
        guard receiveConnectionCredit >= 0 else {
            throw ProtocolViolation(.flowControl, "the connection's credit is overrun")
        }
        try ingestConnection(cost)
        let id = frame.header.stream
        guard var stream = streams[id] else {
            guard isClosed(id) else {
                throw ProtocolViolation(.protocolError, "data for stream \(id), never opened")
            }
            return nil
        }
        stream.receiveCredit -= cost
        guard stream.receiveCredit >= 0 else {
            throw ProtocolViolation(.flowControl, "the credit of stream \(id) is overrun")
        }
        guard !stream.hasEndedRemotely else {
            throw ProtocolViolation(.protocolError, "data on stream \(id) after its end")
        }
        let action = try assemble(frame, isBlob, cost, &stream)
        streams[id] = stream
        guard partialByteCount > limits.unfinishedByteCount else { return action }
        return try giveUp(id)
    }

    private mutating func assemble(
        _ frame: Frame,
        _ isBlob: Bool,
        _ cost: Int,
        _ stream: inout StreamState
    ) throws -> Action? {
        let id = frame.header.stream
        let ends = frame.header.flags.contains(.endStream)
        let goesOn = frame.header.flags.contains(.more)
        guard !(ends && goesOn), !(isBlob && (goesOn || stream.isPartial)) else {
            throw ProtocolViolation(.protocolError, "MORE or END_STREAM out of place")
        }
        stream.hasEndedRemotely = ends
        let limit = negotiated?.messageByteCount ?? 0
        if !isBlob, stream.partial.readableBytes + frame.header.length > limit {
            throw ProtocolViolation(.messageTooLarge, "a message of more than \(limit) bytes")
        }
        if goesOn {
            stream.partial.writeImmutableBuffer(frame.payload)
            partialByteCount += frame.header.length
            stream.isPartial = true
            try ingest(cost, id, &stream)
            return nil
        }
        if ends, frame.header.length == 0, !stream.isPartial { return .end(stream: id) }
        guard stream.isPartial else {
            return .message(stream: id, frame.payload, credit: cost, ends: ends)
        }
        partialByteCount -= stream.partial.readableBytes
        stream.partial.writeImmutableBuffer(frame.payload)
        let whole = stream.partial
        stream.partial = ByteBuffer()
        stream.isPartial = false
        return .message(stream: id, whole, credit: cost, ends: ends)
    }

    /// Ends a stream whose peer has begun too many messages at once; of a server that is a fault.
    private mutating func giveUp(_ id: UInt32) throws -> Action? {
        let limit = limits.unfinishedByteCount
        let message = "more than \(limit) bytes of unfinished messages on one connection"
        guard side == .server else { throw ProtocolViolation(.flowControl, message) }
        var bytes = ByteBuffer()
        try finish(
            stream: id,
            with: RPCError(.resourceExhausted, message, processed: .no),
            into: &bytes
        )
        queued.append(.send(bytes))
        return .cancel(stream: id)
    }

    /// Grants credit for a piece of a message that is not whole yet, so that a message may be
    /// longer than the window.
    private mutating func ingest(_ cost: Int, _ id: UInt32, _ stream: inout StreamState) throws {
        stream.ingestedCredit += cost
        guard stream.ingestedCredit >= limits.streamCreditByteCount / 4 else { return }
        var bytes = ByteBuffer()
        writeCredit(stream.ingestedCredit, id, &bytes)
        stream.receiveCredit += stream.ingestedCredit
        stream.ingestedCredit = 0
        queued.append(.send(bytes))
    }

    /// The connection's credit bounds what is in flight, so it comes back as bytes are taken in:
    /// a stream whose consumer sleeps holds back only itself.
    private mutating func ingestConnection(_ cost: Int) throws {
        ingestedConnectionCredit += cost
        guard ingestedConnectionCredit >= limits.connectionCreditByteCount / 4 else { return }
        var bytes = ByteBuffer()
        writeCredit(ingestedConnectionCredit, 0, &bytes)
        receiveConnectionCredit += ingestedConnectionCredit
        ingestedConnectionCredit = 0
        queued.append(.send(bytes))
    }

    private mutating func takeStatus(_ frame: Frame) throws -> Action? {
        let id = frame.header.stream
        guard side == .client else {
            throw ProtocolViolation(.protocolError, "STATUS from a client")
        }
        guard let stream = streams[id] else {
            guard isClosed(id) else {
                throw ProtocolViolation(.protocolError, "STATUS for stream \(id), never opened")
            }
            return nil
        }
        guard !stream.isPartial else {
            throw ProtocolViolation(.protocolError, "STATUS inside a message of stream \(id)")
        }
        let status = try MessageCodec.decode(CallStatus.self, from: frame.payload)
        closeStream(id)
        closeIfDrained()
        return .finish(stream: id, status)
    }

    private mutating func takeCancel(
        _ frame: Frame,
        _ now: ContinuousClock.Instant
    ) throws -> Action? {
        let id = frame.header.stream
        try payForControlFrame(now)
        guard side == .server, frame.header.length == 4, isClosed(id) || streams[id] != nil else {
            throw ProtocolViolation(.protocolError, "CANCEL on stream \(id)")
        }
        guard closeStream(id) else { return nil }
        return .cancel(stream: id)
    }

    private mutating func takeCredit(
        _ frame: Frame,
        _ now: ContinuousClock.Instant
    ) throws -> Action? {
        let id = frame.header.stream
        let payload = frame.payload
        guard payload.readableBytes == 4,
            let granted = payload.getInteger(at: payload.readerIndex, as: UInt32.self),
            granted > 0, granted <= ControlLimits.creditByteCount
        else {
            throw ProtocolViolation(.protocolError, "CREDIT on stream \(id) is malformed")
        }
        if granted < 1_024 { try payForControlFrame(now) }
        let limit = ControlLimits.creditByteCount
        if id == 0 {
            sendConnectionCredit += Int(granted)
            guard sendConnectionCredit <= limit else {
                throw ProtocolViolation(.flowControl, "more than \(limit) bytes of credit")
            }
            return .writable(stream: nil)
        }
        guard var stream = streams[id] else {
            guard isClosed(id) else {
                throw ProtocolViolation(.protocolError, "CREDIT for stream \(id), never opened")
            }
            return nil
        }
        stream.sendCredit += Int(granted)
        guard stream.sendCredit <= limit else {
            throw ProtocolViolation(.flowControl, "more than \(limit) bytes of credit")
        }
        streams[id] = stream
        return .writable(stream: id)
    }

    /// Whether the stream was opened once; streams that are open are asked for first.
    func isClosed(_ id: UInt32) -> Bool { id & 1 == 1 && id <= highestStream }

    mutating func payForControlFrame(_ now: ContinuousClock.Instant) throws {
        guard controlBudget.take(now) else {
            throw ProtocolViolation(.tooManyControlFrames, "too many control frames")
        }
    }
}
