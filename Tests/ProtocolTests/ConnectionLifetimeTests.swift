internal import NIOCore
internal import Protocol
internal import Testing

/// Keepalive, drains, floods and noise, on a clock that only the test moves.
struct ConnectionLifetimeTests {
    private let start = ContinuousClock.now

    private func machine(
        _ side: ConnectionStateMachine.Side,
        _ limits: ConnectionLimits = ConnectionLimits()
    ) -> ConnectionStateMachine {
        let local = LocalEndpoint(build: "", instanceID: "", bootID: "", peer: "")
        return ConnectionStateMachine(side: side, limits: limits, local: local, now: start)
    }

    private func readyServer(_ limits: ConnectionLimits = ConnectionLimits()) throws
        -> ConnectionStateMachine
    {
        var server = machine(.server, limits)
        server.receive(try machine(.client, limits).opening())
        guard case .ready = server.next(now: start) else {
            throw RPCError(.internal, "not ready")
        }
        return server
    }

    private func call(_ id: UInt32) throws -> ByteBuffer {
        var payload = ByteBuffer()
        try MessageCodec.encode(CallEnvelope(method: "m"), into: &payload)
        return frame(.call, id, payload)
    }

    private func frame(
        _ type: FrameType,
        _ stream: UInt32 = 0,
        _ payload: ByteBuffer = ByteBuffer(repeating: 0, count: 8)
    ) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeFrame(type, stream: stream, payload: payload)
        return bytes
    }

    private func type(_ action: ConnectionStateMachine.Action?) throws -> FrameType? {
        guard case .send(let bytes) = action else { return nil }
        return try bytes.frameHeader(at: bytes.readerIndex)?.type
    }

    private func isClose(_ action: ConnectionStateMachine.Action?) -> Bool {
        if case .close = action { true } else { false }
    }

    @Test func aSlowHandshakeIsEnded() throws {
        var server = machine(.server)
        try server.tick(now: start + .seconds(9))
        #expect(server.next(now: start) == nil)
        try server.tick(now: start + .seconds(10))
        #expect(isClose(server.next(now: start)))
    }

    @Test func aSilentPeerIsPingedThenGivenUp() throws {
        var server = try readyServer()
        server.receive(try call(1))
        _ = server.next(now: start)
        try server.tick(now: start + .seconds(29))
        #expect(server.next(now: start) == nil)
        try server.tick(now: start + .seconds(31))
        #expect(try type(server.next(now: start)) == .ping)
        try server.tick(now: start + .seconds(40))
        #expect(server.next(now: start) == nil)
        try server.tick(now: start + .seconds(42))
        #expect(isClose(server.next(now: start)))
    }

    @Test func anIdleConnectionIsLeftAlone() throws {
        var server = try readyServer()
        try server.tick(now: start + .seconds(3_600))
        #expect(server.next(now: start) == nil)
    }

    @Test func pingsAreAnsweredAndTooManyEndTheConnection() throws {
        var server = try readyServer()
        for _ in 0..<3 {
            server.receive(frame(.ping))
            #expect(try type(server.next(now: start)) == .pong)
        }
        server.receive(frame(.ping))
        #expect(isClose(server.next(now: start)))
    }

    @Test func politePingsAreAnsweredForEver() throws {
        var server = try readyServer()
        for index in 1...50 {
            server.receive(frame(.ping))
            let now = start + .seconds(10 * index)
            #expect(try type(server.next(now: now)) == .pong)
        }
    }

    @Test func rapidResetsEndTheConnection() throws {
        var limits = ConnectionLimits()
        limits.runningCalls = 1_000_000
        var server = try readyServer(limits)
        var ended: UInt32?
        for index in UInt32(0)..<300 where ended == nil {
            let id = 2 * index + 1
            server.receive(try call(id))
            server.receive(frame(.cancel, id, ByteBuffer(repeating: 0, count: 4)))
            _ = server.next(now: start)
            if isClose(server.next(now: start)) { ended = index }
        }
        #expect(ended == 200)
    }

    @Test func aDrainServesWhatRunsAndRefusesTheRest() throws {
        var server = try readyServer()
        server.receive(try call(1))
        _ = server.next(now: start)
        try server.beginDrain(now: start)
        #expect(try type(server.next(now: start)) == .goAway)
        // Calls that crossed the first GOAWAY on the wire are still served.
        server.receive(try call(3))
        guard case .open(3, _, _) = server.next(now: start) else {
            Issue.record("not opened")
            return
        }
        try server.tick(now: start + .seconds(2))
        #expect(try type(server.next(now: start)) == .goAway)
        server.receive(try call(5))
        #expect(server.next(now: start) == nil)
        for id in [UInt32(1), 3] {
            var output = ByteBuffer()
            try server.finish(stream: id, with: RPCError(.cancelled, ""), into: &output)
            #expect(server.next(now: start) == nil)
            server.handlerReturned()
        }
        #expect(isClose(server.next(now: start)))
    }

    @Test func aDrainGivesUpAtItsLimit() throws {
        var server = try readyServer()
        server.receive(try call(1))
        _ = server.next(now: start)
        try server.beginDrain(now: start)
        _ = server.next(now: start)
        try server.tick(now: start + .seconds(11))
        _ = server.next(now: start)
        #expect(isClose(server.next(now: start)))
    }

    @Test func goAwayTellsTheClientWhichCallsWereNotBegun() throws {
        var client = machine(.client)
        var server = machine(.server)
        server.receive(try client.opening())
        guard case .ready(_, let answer?) = server.next(now: start) else {
            Issue.record("not ready")
            return
        }
        client.receive(answer)
        _ = client.next(now: start)
        for _ in 0..<3 { _ = client.openStream() }
        var payload = ByteBuffer()
        try MessageCodec.encode(GoAway(lastStream: 3), into: &payload)
        client.receive(frame(.goAway, 0, payload))
        guard case .goAway(_, let refused) = client.next(now: start) else {
            Issue.record("no GOAWAY")
            return
        }
        #expect(refused == [5])
        #expect(client.openStream() == nil)
        // A second one changes nothing.
        client.receive(frame(.goAway, 0, payload))
        guard case .goAway(_, []) = client.next(now: start) else {
            Issue.record("no GOAWAY")
            return
        }
    }

    @Test func noiseNeverTraps() throws {
        let seed = UInt64.random(in: 0...(.max))
        print("ConnectionLifetimeTests.noiseNeverTraps seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var opened = 0
        for _ in 0..<2_000 {
            var server = try readyServer()
            for step in 0..<40 {
                let now = start + .milliseconds(step)
                server.receive(try randomFrame(&generator))
                while let action = server.next(now: now) {
                    if case .open(let id, _, _) = action {
                        opened += 1
                        if Bool.random(using: &generator) {
                            var output = ByteBuffer()
                            server.grant(10, stream: id, into: &output)
                            let error = RPCError(.internal, "")
                            try server.finish(stream: id, with: error, into: &output)
                            server.handlerReturned()
                        }
                    }
                }
                try server.tick(now: now)
            }
        }
        #expect(opened > 0, "seed \(seed)")
    }

    private func randomFrame(_ generator: inout SeededGenerator) throws -> ByteBuffer {
        let stream = UInt32.random(in: 0..<9, using: &generator)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0...3:
            return try call(stream | 1)
        case 4:
            let count = Int.random(in: 0..<40, using: &generator)
            let noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            return ByteBuffer(bytes: noise)
        default:
            let types = FrameType.allCases
            let kind = types[Int.random(in: 0..<types.count, using: &generator)]
            let flags = FrameFlags(rawValue: UInt16.random(in: 0..<4, using: &generator))
            let length = Int.random(in: 0..<64, using: &generator)
            let body = ByteBuffer(repeating: UInt8(truncatingIfNeeded: length), count: length)
            var bytes = ByteBuffer()
            bytes.writeFrame(kind, flags: flags, stream: stream, payload: body)
            return bytes
        }
    }
}
