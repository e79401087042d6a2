internal import Foundation
internal import NIOCore
internal import NIOPosix
internal import Testing

@testable internal import Protocol

/// What a peer can make a process hold is bounded for each connection and address.
@Suite(.timeLimit(.minutes(5)))
struct PeerLimitsTests {
    private static func link() -> ConnectionLink {
        ConnectionLink(eventLoop: MultiThreadedEventLoopGroup.singleton.next())
    }

    private static let ada = PeerIdentity(trustDomain: "t", subject: .user(name: "ada"))

    private static func limits() -> ConnectionLimits {
        var limits = ConnectionLimits()
        limits.openingsPerHost = 3
        limits.connectionsPerHost = 5
        limits.connections = 20
        return limits
    }

    @Test func silentOpeningsGiveWayAndSpeakersStay() {
        let activity = ServerActivity(limits: Self.limits())
        let speakers = (0..<2).map { _ in Self.link() }
        for link in speakers {
            #expect(activity.admit(link, from: "a"))
            #expect(activity.opened(link, by: Self.ada))
        }
        // Far more silent ones than the address may have: each is let in, the oldest goes.
        for _ in 0..<100 { #expect(activity.admit(Self.link(), from: "a")) }
        let late = Self.link()
        #expect(activity.admit(late, from: "a"))
        #expect(activity.opened(late, by: Self.ada))
        for link in speakers + [late] { activity.remove(link, from: "a") }
    }

    @Test func anAddressThatSpeaksOnAllItsConnectionsGetsNoMore() {
        let activity = ServerActivity(limits: Self.limits())
        for _ in 0..<5 {
            let link = Self.link()
            #expect(activity.admit(link, from: "a"))
            #expect(activity.opened(link, by: Self.ada))
        }
        #expect(!activity.admit(Self.link(), from: "a"))
        #expect(activity.admit(Self.link(), from: "b"))
    }

    /// Idle connections of one user locked everybody behind their address out.
    @Test func oneNameHasItsShareOfConnectionsOnly() {
        var limits = ConnectionLimits()
        limits.connectionsPerPeer = 3
        let activity = ServerActivity(limits: limits)
        let links = (0..<3).map { _ in Self.link() }
        for link in links {
            #expect(activity.admit(link, from: "a") && activity.opened(link, by: Self.ada))
        }
        let more = Self.link()
        #expect(activity.admit(more, from: "a") && !activity.opened(more, by: Self.ada))
        let bob = PeerIdentity(trustDomain: "t", subject: .user(name: "bob"))
        let other = Self.link()
        #expect(activity.admit(other, from: "a") && activity.opened(other, by: bob))
        activity.remove(links[0], from: "a")
        let next = Self.link()
        #expect(activity.admit(next, from: "a") && activity.opened(next, by: Self.ada))
    }

    /// Seen: one user, with connections above the limit that were kept to be told so, shut out all others behind
    /// the same address, and with five addresses everybody.
    @Test func whatOneNameHasTooMuchIsInNobodysWay() {
        var limits = Self.limits()
        (limits.connectionsPerPeer, limits.connections) = (2, 6)
        (limits.surplusPerPeer, limits.surplus) = (2, 3)
        let activity = ServerActivity(limits: limits)
        func open(_ peer: PeerIdentity, _ host: String = "a") -> (ConnectionLink, Bool)? {
            let link = Self.link()
            guard activity.admit(link, from: host) else { return nil }
            return (link, activity.opened(link, by: peer))
        }
        for _ in 0..<2 { #expect(open(Self.ada)?.1 == true) }
        let surplus = (0..<50).compactMap { _ in open(Self.ada) }
        #expect(surplus.count == 50 && !surplus.contains { $0.1 })
        // Two of them, the newest, are left to be told; the others were closed.
        #expect(activity.surplusCount == 2)
        for _ in 0..<2 { #expect(open(Self.bob)?.1 == true) }
        #expect(open(Self.bob)?.1 == false)
        #expect(open(Self.carl)?.1 == true)
        // Five that count are what the address may have, and six are all.
        #expect(open(Self.carl) == nil && open(Self.carl, "b")?.1 == true)
        #expect(open(Self.train, "c") == nil)
        // Names together leave no more than that either.
        #expect(activity.surplusCount == 3)
        // One that goes gives nobody's place back.
        for (link, _) in surplus { activity.remove(link, from: "a") }
        #expect(activity.surplusCount == 1 && open(Self.carl) == nil)
    }

    /// One that gave way before it could say HELLO counts for nobody.
    @Test func aConnectionThatGaveWayHoldsNoPlaceOfItsName() {
        var limits = Self.limits()
        (limits.openingsPerHost, limits.connectionsPerPeer) = (1, 1)
        let activity = ServerActivity(limits: limits)
        let (old, new) = (Self.link(), Self.link())
        #expect(activity.admit(old, from: "a") && activity.admit(new, from: "a"))
        _ = activity.opened(old, by: Self.ada)
        activity.remove(old, from: "a")
        #expect(activity.opened(new, by: Self.ada))
    }

    @Test func silentOpeningsFromManyAddressesLockNobodyOut() {
        let activity = ServerActivity(limits: Self.limits())
        for host in 0..<50 {
            for _ in 0..<3 { #expect(activity.admit(Self.link(), from: "h\(host)")) }
        }
        #expect(activity.admit(Self.link(), from: "new"))
    }

    @Test func aUnaryCallNeedsATimeout() async throws {
        let authority = try TestAuthority()
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.healthCheck, allow: .users) { _, _ in HealthCheckResponse() }
        } _: { _, address in
            // The client sets one for unary calls; a stream of the same name has none.
            let method = ServerStreamMethod<HealthCheckRequest, HealthCheckResponse>(
                name: QatMethods.healthCheck.name
            )
            let error = try await rpcError {
                try await withClient(address, try authority.user()) { client in
                    try await client.stream(method, HealthCheckRequest()) { _ in }
                }
            }
            #expect(error.code == .invalidArgument && error.message.contains("timeout"))
        }
    }

    /// Bytes that handlers do not take count for all streams of a connection together.
    @Test func theMeterFollowsInboxAndOutbox() async throws {
        let (untaken, unsent) = (ByteMeter(), ByteMeter())
        do {
            let inbox = CallInbox(meter: untaken)
            inbox.append(ByteBuffer(repeating: 1, count: 100), credit: 100)
            inbox.append(ByteBuffer(repeating: 1, count: 50), credit: 50)
            #expect(untaken.byteCount >= 150)
            _ = try await inbox.next()
            #expect(untaken.byteCount == 0)
            inbox.append(ByteBuffer(repeating: 1, count: 10), credit: 10)
            let outbox = CallOutbox(meter: unsent)
            _ = try outbox.append { $0.writeBytes([1, 2, 3]) }
            _ = outbox.take()
            _ = try outbox.append { $0.writeBytes([4, 5]) }
            #expect(unsent.byteCount == 5)
            outbox.didSend(3, spare: nil)
            #expect(unsent.byteCount == 2)
            _ = try outbox.append { $0.writeBytes([6]) }
            outbox.fail(RPCError(.cancelled, ""))
            #expect(unsent.byteCount == 0)
        }
        #expect(untaken.byteCount == 0 && unsent.byteCount == 0)
    }

    /// Alone a stream may be 256 KiB ahead; on a connection that is behind, not a byte.
    @Test func aConnectionThatIsBehindMakesItsWritersWait() async throws {
        let meter = ByteMeter()
        let outbox = CallOutbox(meter: meter)
        _ = try outbox.append { $0.writeBytes([1]) }
        try await outbox.waitForRoom()
        let others = 3 << 20
        meter.add(others)
        let writer = Task { try await outbox.waitForRoom() }
        _ = outbox.take()
        outbox.didSend(1, spare: nil)
        try await writer.value
        meter.add(-others)
    }

    @Test func aPeersNotesAreTenAMinute() {
        let limit = NoteLimit()
        let start = ContinuousClock.now
        let notes = (0..<100).map { limit.note(at: start + .milliseconds($0)) }
        #expect(notes.compactMap(\.self) == Array(repeating: "", count: 10))
        #expect(limit.note(at: start + .seconds(61)) == " (90 more were not noted)")
    }

    /// Calls on one connection, unless a test says otherwise.
    private static let connection = ObjectIdentifier(PeerLimitsTests.self)
    private static let bob = PeerIdentity(trustDomain: "t", subject: .user(name: "bob"))
    private static let carl = PeerIdentity(trustDomain: "t", subject: .user(name: "carl"))
    private static let train = PeerIdentity(
        trustDomain: "t",
        subject: .service(role: "train", instance: "1")
    )

    /// Seen: calls that nobody read, 128 on each of 64 connections, held more memory than the machine had.
    @Test(arguments: [CallLane.calls, .streams])
    func oneNameHasItsShareOfCallsOnAllItsConnections(_ lane: CallLane) throws {
        var limits = ConnectionLimits()
        (limits.runningCallsPerPeer, limits.runningStreamsPerPeer) = (3, 3)
        (limits.runningUserCalls, limits.runningUserStreams) = (5, 5)
        limits.reservedUserCalls = 0
        let activity = ServerActivity(limits: limits)
        for _ in 0..<3 { try activity.callBegins(by: Self.ada, in: lane, on: Self.connection) }
        let full = #expect(throws: RPCError.self) {
            try activity.callBegins(by: Self.ada, in: lane, on: Self.connection)
        }
        // To be repeated later, and safely.
        #expect(full?.code == .unavailable && full?.processed == .no)
        #expect(full?.message.contains("3 \(lane) of spiffe://t/user/ada") == true)
        for _ in 0..<2 { try activity.callBegins(by: Self.bob, in: lane, on: Self.connection) }
        #expect(throws: RPCError.self) {
            try activity.callBegins(by: Self.bob, in: lane, on: Self.connection)
        }
        // Users, however many, keep no worker out.
        for _ in 0..<3 { try activity.callBegins(by: Self.train, in: lane, on: Self.connection) }
        #expect(throws: RPCError.self) {
            try activity.callBegins(by: Self.train, in: lane, on: Self.connection)
        }
        // A refused call takes nobody's place, one that ended gives its own back.
        activity.callEnded(by: Self.ada, in: lane, on: Self.connection)
        try activity.callBegins(by: Self.bob, in: lane, on: Self.connection)
        #expect(throws: RPCError.self) {
            try activity.callBegins(by: Self.ada, in: lane, on: Self.connection)
        }
        activity.callEnded(by: Self.bob, in: lane, on: Self.connection)
        try activity.callBegins(by: Self.ada, in: lane, on: Self.connection)
    }

    /// Seen: who watched four pipelines of 64 jobs could neither ask for their states nor cancel them.
    @Test func whoWatchesAsMuchAsMayBeCanCall() throws {
        var limits = ConnectionLimits()
        (limits.runningCallsPerPeer, limits.runningStreamsPerPeer) = (3, 3)
        let activity = ServerActivity(limits: limits)
        for lane in [CallLane.streams, .calls] {
            for _ in 0..<3 { try activity.callBegins(by: Self.ada, in: lane, on: Self.connection) }
        }
        for lane in [CallLane.streams, .calls] {
            #expect(throws: RPCError.self) {
                try activity.callBegins(by: Self.ada, in: lane, on: Self.connection)
            }
        }
        activity.callEnded(by: Self.ada, in: .calls, on: Self.connection)
        #expect(throws: RPCError.self) {
            try activity.callBegins(by: Self.ada, in: .streams, on: Self.connection)
        }
        try activity.callBegins(by: Self.ada, in: .calls, on: Self.connection)
    }

    /// Seen: four users with 256 waiting streams each, and a fifth, who held nothing, could not call.
    @Test(arguments: [CallLane.calls, .streams])
    func othersTakeNobodysFirstCalls(_ lane: CallLane) throws {
        var limits = ConnectionLimits()
        (limits.runningCallsPerPeer, limits.runningStreamsPerPeer) = (4, 4)
        (limits.runningUserCalls, limits.runningUserStreams) = (8, 8)
        limits.reservedUserCalls = 2
        let activity = ServerActivity(limits: limits)
        for peer in [Self.ada, Self.bob] {
            for _ in 0..<4 { try activity.callBegins(by: peer, in: lane, on: Self.connection) }
        }
        for _ in 0..<2 { try activity.callBegins(by: Self.carl, in: lane, on: Self.connection) }
        #expect(throws: RPCError.self) {
            try activity.callBegins(by: Self.carl, in: lane, on: Self.connection)
        }
        // Their place comes back as often as they like.
        for _ in 0..<20 {
            activity.callEnded(by: Self.carl, in: lane, on: Self.connection)
            try activity.callBegins(by: Self.carl, in: lane, on: Self.connection)
        }
        // The others have no more for it, and the log can say who they are.
        #expect(throws: RPCError.self) {
            try activity.callBegins(by: Self.ada, in: lane, on: Self.connection)
        }
        #expect(activity.busiestUser(in: lane)?.hasSuffix(": 4") == true)
    }

    /// Seen: 64 windows in which one user watched jobs, and no connection was left to cancel one.
    @Test func whoFollowsInManyWindowsHasConnectionsLeft() throws {
        var limits = ConnectionLimits()
        limits.connectionsPerPeer = 8
        let activity = ServerActivity(limits: limits)
        let links = (0..<8).map { _ in Self.link() }
        let connections = links.map { ObjectIdentifier($0) }
        for connection in connections[..<6] {
            // A pipeline takes a stream for each job, and one connection.
            for _ in 0..<5 { try activity.callBegins(by: Self.ada, in: .streams, on: connection) }
        }
        let refusal = #expect(throws: RPCError.self) {
            try activity.callBegins(by: Self.ada, in: .streams, on: connections[6])
        }
        #expect(refusal?.code == .unavailable && refusal?.processed == .no)
        #expect(refusal?.message.contains("6 connections of spiffe://t/user/ada follow") == true)
        try activity.callBegins(by: Self.ada, in: .calls, on: connections[6])
        try activity.callBegins(by: Self.bob, in: .streams, on: connections[7])
        try activity.callBegins(by: Self.ada, in: .streams, on: connections[0])
        // The place is free when the last stream of a connection ended.
        for _ in 0..<5 { activity.callEnded(by: Self.ada, in: .streams, on: connections[1]) }
        try activity.callBegins(by: Self.ada, in: .streams, on: connections[6])
    }

    /// Seen: "the peer closed the connection", and nobody knew why.
    @Test func aConnectionTooManyIsToldSo() async throws {
        let authority = try TestAuthority()
        var limits = ConnectionLimits()
        limits.connectionsPerPeer = 1
        try await withServer(authority: authority, limits: limits) { router in
            router.unary(QatMethods.healthCheck, allow: .users) { _, _ in HealthCheckResponse() }
        } _: { _, address in
            let user = try authority.user()
            try await withClient(address, user, attempts: 1) { first in
                _ = try await first.call(QatMethods.healthCheck, HealthCheckRequest())
                let error = try await rpcError {
                    try await withClient(address, user, attempts: 1) { second in
                        _ = try await second.call(QatMethods.healthCheck, HealthCheckRequest())
                    }
                }
                #expect(error.code == .resourceExhausted && error.processed == .no)
                #expect(error.message.contains("has as many connections as it may"))
                _ = try await first.call(QatMethods.healthCheck, HealthCheckRequest())
            }
        }
    }

    /// Told once, it is closed at once, and the same client's next call has a new one.
    @Test func aConnectionTooManyIsClosedOnceItIsTold() async throws {
        let authority = try TestAuthority()
        var limits = ConnectionLimits()
        limits.connectionsPerPeer = 1
        try await withServer(authority: authority, limits: limits) { router in
            router.unary(QatMethods.healthCheck, allow: .users) { _, _ in HealthCheckResponse() }
        } _: { _, address in
            let user = try authority.user()
            try await withClient(address, user, attempts: 1) { second in
                try await withClient(address, user, attempts: 1) { first in
                    _ = try await first.call(QatMethods.healthCheck, HealthCheckRequest())
                    let error = try await rpcError {
                        _ = try await second.call(QatMethods.healthCheck, HealthCheckRequest())
                    }
                    #expect(error.code == .resourceExhausted)
                }
                // The server hears of the first one's end a moment later.
                let start = ContinuousClock.now
                var isTaken = false
                while !isTaken, start.duration(to: .now) < .seconds(4) {
                    isTaken =
                        (try? await second.call(QatMethods.healthCheck, HealthCheckRequest()))
                        != nil
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(isTaken)
            }
        }
    }

    /// The same over real connections: a watch that waits is not in the way of a call.
    @Test func aStreamThatWaitsIsNoRunningCall() async throws {
        let authority = try TestAuthority()
        var limits = ConnectionLimits()
        (limits.runningCallsPerPeer, limits.runningStreamsPerPeer) = (1, 1)
        let (begun, beginning) = AsyncStream<Void>.makeStream()
        let (gate, opening) = AsyncStream<Void>.makeStream()
        try await withServer(authority: authority, limits: limits) { router in
            router.serverStream(QatMethods.watchJob, allow: .users) { _, _, _ in
                beginning.finish()
                for await _ in gate {}
            }
            router.unary(QatMethods.healthCheck, allow: .users) { _, _ in HealthCheckResponse() }
        } _: { _, address in
            try await withClient(address, try authority.user(), attempts: 1) { client in
                async let watch: Void = client.stream(
                    QatMethods.watchJob,
                    WatchJobRequest(jobID: "j"),
                    onMessage: { _ in }
                )
                for await _ in begun {}
                _ = try await client.call(QatMethods.healthCheck, HealthCheckRequest())
                let second = try await rpcError {
                    try await client.stream(
                        QatMethods.watchJob,
                        WatchJobRequest(jobID: "j"),
                        onMessage: { _ in }
                    )
                }
                #expect(second.code == .unavailable && second.processed == .no)
                opening.finish()
                try await watch
            }
        }
    }

    /// The limit counts what runs, over real connections, and not what ran.
    @Test func aCallThatEndedMakesRoom() async throws {
        let authority = try TestAuthority()
        var limits = ConnectionLimits()
        limits.runningCallsPerPeer = 4
        try await withServer(authority: authority, limits: limits) { router in
            router.unary(QatMethods.healthCheck, allow: .users) { _, _ in HealthCheckResponse() }
        } _: { _, address in
            try await withClient(address, try authority.user()) { client in
                for _ in 0..<20 {
                    _ = try await client.call(QatMethods.healthCheck, HealthCheckRequest())
                }
            }
        }
    }

    /// Seen: 40 connections with 128 answers of 148 kB each, whose handlers had long returned.
    @Test func anAnswerThatNobodyReadsKeepsItsPlace() async throws {
        let authority = try TestAuthority()
        var limits = ConnectionLimits()
        (limits.runningCallsPerPeer, limits.runningStreamsPerPeer) = (1, 1)
        let (returned, end) = AsyncStream<Void>.makeStream()
        let (gate, opening) = AsyncStream<Void>.makeStream()
        try await withServer(authority: authority, limits: limits) { router in
            router.serverStream(QatMethods.jobLogs, allow: .users) { _, _, writer in
                // More than goes out unasked, 256 KiB, and less than makes a writer wait beyond that.
                for _ in 0..<14 {
                    try await writer.write(LogChunk(data: [UInt8](repeating: 1, count: 30_000)))
                }
                end.finish()
            }
            router.serverStream(QatMethods.watchJob, allow: .users) { _, _, _ in }
        } _: { _, address in
            let user = try authority.user()
            try await withClient(address, user, attempts: 1) { reader in
                async let reading: Void = reader.stream(
                    QatMethods.jobLogs,
                    JobLogsRequest(jobID: "j"),
                    onMessage: { _ in for await _ in gate {} }
                )
                for await _ in returned {}
                let error = try await rpcError {
                    try await withClient(address, user, attempts: 1) { other in
                        try await other.stream(
                            QatMethods.watchJob,
                            WatchJobRequest(jobID: "j"),
                            onMessage: { _ in }
                        )
                    }
                }
                #expect(error.code == .unavailable && error.processed == .no)
                opening.finish()
                try await reading
            }
            // Its place comes back with its last byte, or a moment later.
            try await withClient(address, user) { other in
                try await other.stream(
                    QatMethods.watchJob,
                    WatchJobRequest(jobID: "j"),
                    onMessage: { _ in }
                )
            }
        }
    }
}
