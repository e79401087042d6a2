internal import NIOCore
internal import Protocol
internal import Testing

/// Two machines joined by hand, on a clock that only the test moves.
private struct MachinePair {
    var client: ConnectionStateMachine
    var server: ConnectionStateMachine
    var now = ContinuousClock.now
    var limits: ConnectionLimits

    init(limits: ConnectionLimits = ConnectionLimits()) throws {
        self.limits = limits
        client = makeMachine(.client, limits, now)
        server = makeMachine(.server, limits, now)
        server.receive(try client.opening())
        guard case .ready(_, let answer?) = server.next(now: now) else {
            throw RPCError(.internal, "the server did not become ready")
        }
        client.receive(answer)
        guard case .ready(_, nil) = client.next(now: now) else {
            throw RPCError(.internal, "the client did not become ready")
        }
    }

    /// Opens a call and returns its stream.
    mutating func open(endStream: Bool = false) throws -> UInt32 {
        guard let id = client.openStream() else { throw RPCError(.internal, "no stream") }
        server.receive(try callFrame(id, endStream: endStream))
        guard case .open(id, _, endStream) = server.next(now: now) else {
            throw RPCError(.internal, "the server did not open stream \(id)")
        }
        return id
    }

    mutating func serverNext(_ bytes: ByteBuffer) -> ConnectionStateMachine.Action? {
        server.receive(bytes)
        return server.next(now: now)
    }
}

private func makeMachine(
    _ side: ConnectionStateMachine.Side,
    _ limits: ConnectionLimits,
    _ now: ContinuousClock.Instant
) -> ConnectionStateMachine {
    let local = LocalEndpoint(build: "b", instanceID: "i", bootID: "t", peer: "spiffe://d/user/u")
    return ConnectionStateMachine(side: side, limits: limits, local: local, now: now)
}

private func payload(_ message: some WireMessage) throws -> ByteBuffer {
    var bytes = ByteBuffer()
    try MessageCodec.encode(message, into: &bytes)
    return bytes
}

private func callFrame(_ id: UInt32, endStream: Bool = false) throws -> ByteBuffer {
    let envelope = CallEnvelope(method: "qat.v1.Health/Check", timeoutMs: 1_000, message: [])
    return frame(.call, endStream ? .endStream : [], id, try payload(envelope))
}

private func frame(
    _ type: FrameType,
    _ flags: FrameFlags = [],
    _ stream: UInt32 = 0,
    _ payload: ByteBuffer = ByteBuffer()
) -> ByteBuffer {
    var bytes = ByteBuffer()
    bytes.writeFrame(type, flags: flags, stream: stream, payload: payload)
    return bytes
}

private func zeros(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 0, count: count) }

/// The code of the ABORT that closes a connection.
private func abortCode(_ action: ConnectionStateMachine.Action?) throws -> AbortCode? {
    guard case .close(_, var bytes?) = action else { return nil }
    bytes.moveReaderIndex(forwardBy: FrameHeader.byteCount)
    return AbortCode(rawValue: try MessageCodec.decode(Abort.self, from: bytes).code)
}

struct ConnectionStateMachineTests {
    @Test func theOpeningIsByteExact() throws {
        let opening = try makeMachine(.client, ConnectionLimits(), .now).opening()
        let bytes = Array(buffer: opening)
        #expect(Array(bytes.prefix(8)) == Array("QATRPC1\n".utf8))
        #expect(bytes[11] == 1 && Array(bytes[12..<20]) == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(Int(bytes[10]) == bytes.count - 20)
    }

    @Test func helloTakesTheSmallerOfEachLimit() throws {
        var small = ConnectionLimits()
        small.frameByteCount = 16 << 10
        small.messageByteCount = 64 << 10
        var client = makeMachine(.client, small, .now)
        var server = makeMachine(.server, ConnectionLimits(), .now)
        server.receive(try client.opening())
        guard case .ready(let agreed, let answer?) = server.next(now: .now) else {
            Issue.record("not ready")
            return
        }
        #expect(agreed.frameByteCount == 16 << 10)
        #expect(agreed.messageByteCount == 64 << 10)
        client.receive(answer)
        guard case .ready(let own, nil) = client.next(now: .now) else {
            Issue.record("not ready")
            return
        }
        #expect(own.frameByteCount == agreed.frameByteCount)
        #expect(own.messageByteCount == agreed.messageByteCount)
    }

    /// Four streams may each begin a message of the largest size, not hundreds of them.
    @Test func unfinishedMessagesAreBoundedForAllStreamsTogether() throws {
        var limits = ConnectionLimits()
        limits.unfinishedByteCount = 200_000
        var pair = try MachinePair(limits: limits)
        var refused: [UInt32] = []
        for _ in 0..<6 {
            let id = try pair.open()
            pair.server.receive(frame(.data, .more, id, zeros(60_000)))
            while let action = pair.server.next(now: pair.now) {
                if case .cancel(let id) = action { refused.append(id) }
            }
        }
        // 60,000 bytes fit three times into 200,000; a stream that is given up holds nothing.
        #expect(refused == [7, 9, 11])
        // The others go on.
        pair.server.receive(frame(.data, .endStream, 1, zeros(10)))
        var lengths: [Int] = []
        while let action = pair.server.next(now: pair.now) {
            if case .message(1, let bytes, _, true) = action { lengths.append(bytes.readableBytes) }
        }
        #expect(lengths == [60_010])
        #expect(!pair.server.isOpen(7) && pair.server.isOpen(3))
    }

    @Test func aWrongPrefaceEndsTheConnection() throws {
        var server = makeMachine(.server, ConnectionLimits(), .now)
        server.receive(ByteBuffer(string: "GET / HT"))
        #expect(try abortCode(server.next(now: .now)) == .protocolError)
        #expect(server.next(now: .now) == nil)
    }

    @Test func aNewerClientIsTold() throws {
        var server = makeMachine(.server, ConnectionLimits(), .now)
        server.receive(ByteBuffer(string: "QATRPC1\n"))
        server.receive(frame(.hello, [], 0, try payload(Hello(minorMin: 3, minorMax: 4))))
        #expect(try abortCode(server.next(now: .now)) == .versionMismatch)
    }

    @Test func callsBeforeHelloAreRefused() throws {
        var server = makeMachine(.server, ConnectionLimits(), .now)
        server.receive(ByteBuffer(string: "QATRPC1\n"))
        server.receive(try callFrame(1))
        #expect(try abortCode(server.next(now: .now)) == .protocolError)
    }

    @Test func aCallGoesThereAndBack() throws {
        var pair = try MachinePair()
        let id = try pair.open(endStream: true)
        var frames = frame(.data, [], 0, zeros(3))
        frames.writeImmutableBuffer(frame(.status, [], 0, try payload(CallStatus(processed: 3))))
        var output = ByteBuffer()
        #expect(
            try pair.server.write(&frames, stream: id, quantum: 1 << 20, into: &output) == .done
        )
        #expect(!pair.server.isOpen(id))
        pair.client.receive(output)
        guard case .message(id, let reply, 15, false) = pair.client.next(now: pair.now) else {
            Issue.record("no message")
            return
        }
        #expect(reply.readableBytes == 3)
        guard case .finish(id, let status) = pair.client.next(now: pair.now) else {
            Issue.record("no status")
            return
        }
        #expect(status.code == 0)
        #expect(pair.client.openStreamCount == 0)
    }

    @Test func messagesInPiecesArriveWhole() throws {
        var pair = try MachinePair()
        let id = try pair.open()
        var bytes = frame(.data, .more, id, zeros(10))
        bytes.writeImmutableBuffer(frame(.data, .more, id, zeros(20)))
        bytes.writeImmutableBuffer(frame(.data, .endStream, id, zeros(5)))
        guard case .message(id, let whole, _, true) = pair.serverNext(bytes) else {
            Issue.record("no message")
            return
        }
        #expect(whole.readableBytes == 35)
    }

    /// A frame that may not come now, and the code it is answered with.
    struct BrokenRule: Sendable {
        var type: FrameType
        var flags: FrameFlags = []
        var stream: UInt32 = 0
        var length = 0
        var code = AbortCode.protocolError
    }

    @Test(arguments: [
        BrokenRule(type: .data, stream: 9, length: 4),
        BrokenRule(type: .call, stream: 2, length: 4),
        BrokenRule(type: .status, stream: 1),
        BrokenRule(type: .goAway),
        BrokenRule(type: .hello),
        BrokenRule(type: .helloAck),
        BrokenRule(type: .ping, length: 7),
        BrokenRule(type: .pong, length: 9),
        BrokenRule(type: .credit, stream: 1, length: 3),
        BrokenRule(type: .credit, stream: 1, length: 4),
        BrokenRule(type: .cancel, stream: 1, length: 3),
        BrokenRule(type: .cancel, stream: 77, length: 4),
        BrokenRule(type: .data, flags: [.more, .endStream], stream: 1, length: 1),
        BrokenRule(type: .blob, flags: .more, stream: 1, length: 1),
        BrokenRule(type: .data, flags: .compressed, stream: 1, length: 1, code: .unimplemented),
        BrokenRule(type: .call, stream: 3, length: 16_385, code: .frameTooLarge),
        BrokenRule(type: .data, stream: 1, length: 65_537, code: .frameTooLarge),
    ])
    func brokenRulesEndTheConnection(_ rule: BrokenRule) throws {
        var pair = try MachinePair()
        _ = try pair.open()
        let broken = frame(rule.type, rule.flags, rule.stream, zeros(rule.length))
        let action = pair.serverNext(broken)
        #expect(try abortCode(action) == rule.code)
        #expect(pair.serverNext(frame(.ping, [], 0, zeros(8))) == nil)
    }

    @Test func unknownTypesAreSkippedOnlyIfIgnorable() throws {
        var pair = try MachinePair()
        var bytes = ByteBuffer()
        bytes.writeFrameHeader(
            FrameHeader(length: 2, rawType: 99, flags: .ignorable, stream: 0)
        )
        bytes.writeBytes([1, 2])
        #expect(pair.serverNext(bytes) == nil)
        bytes.clear()
        bytes.writeFrameHeader(FrameHeader(length: 0, rawType: 99, flags: [], stream: 0))
        #expect(try abortCode(pair.serverNext(bytes)) == .unimplemented)
    }

    @Test func dataForAClosedStreamIsDroppedAndCredited() throws {
        var pair = try MachinePair()
        let id = try pair.open()
        var bytes = frame(.cancel, [], id, zeros(4))
        guard case .cancel(id) = pair.serverNext(bytes) else {
            Issue.record("not cancelled")
            return
        }
        // More than the connection's credit in all: it comes back although nobody reads.
        var credits = 0
        for _ in 0..<100 {
            bytes = frame(.data, [], id, zeros(60_000))
            while let action = pair.serverNext(bytes) {
                guard case .send = action else {
                    Issue.record("\(action)")
                    return
                }
                credits += 1
                bytes = ByteBuffer()
            }
        }
        #expect(credits >= 20)
    }

    @Test func overrunningTheStreamsCreditEndsTheConnection() throws {
        var pair = try MachinePair()
        let id = try pair.open()
        for _ in 0..<4 {
            guard case .message = pair.serverNext(frame(.blob, [], id, zeros(65_000))) else {
                Issue.record("within credit")
                return
            }
        }
        var action = pair.serverNext(frame(.blob, [], id, zeros(65_000)))
        if case .send = action { action = pair.server.next(now: pair.now) }
        #expect(try abortCode(action) == .flowControl)
    }

    @Test func theSenderStopsWithoutCreditAndGoesOnWithIt() throws {
        var pair = try MachinePair()
        let id = try pair.open(endStream: true)
        var frames = ByteBuffer()
        for _ in 0..<8 { frames.writeImmutableBuffer(frame(.blob, [], 0, zeros(60_000))) }
        var output = ByteBuffer()
        let quantum = 1 << 24
        let first = try pair.server.write(&frames, stream: id, quantum: quantum, into: &output)
        #expect(first == .streamCredit)
        #expect(output.readableBytes == 4 * 60_012)
        var credit = ByteBuffer()
        pair.client.receive(output)
        while case .message(_, _, let cost, _) = pair.client.next(now: pair.now) {
            pair.client.grant(cost, stream: id, into: &credit)
        }
        output.clear()
        pair.server.receive(credit)
        while let action = pair.server.next(now: pair.now) {
            guard case .writable(id) = action else {
                Issue.record("\(action)")
                return
            }
        }
        _ = try pair.server.write(&frames, stream: id, quantum: quantum, into: &output)
        #expect(output.readableBytes == 4 * 60_012)
        #expect(frames.readableBytes == 0)
    }

    @Test func runningHandlersCountNotOpenStreams() throws {
        var limits = ConnectionLimits()
        limits.runningCalls = 2
        var pair = try MachinePair(limits: limits)
        let first = try pair.open()
        _ = try pair.open()
        // A cancelled stream frees its slot only when its handler returns.
        guard case .cancel = pair.serverNext(frame(.cancel, [], first, zeros(4))) else {
            Issue.record("not cancelled")
            return
        }
        guard case .send(var refusal) = pair.serverNext(try callFrame(5)) else {
            Issue.record("not refused")
            return
        }
        refusal.moveReaderIndex(forwardBy: FrameHeader.byteCount)
        let error = try #require(
            RPCError(try MessageCodec.decode(CallStatus.self, from: refusal))
        )
        #expect(error.code == .unavailable && error.processed == .no)
        pair.server.handlerReturned()
        guard case .open(7, _, _) = pair.serverNext(try callFrame(7)) else {
            Issue.record("not opened")
            return
        }
    }
}
