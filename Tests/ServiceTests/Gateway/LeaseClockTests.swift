internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// The wall clock may jump while the gateway runs, and while it does not: no lease moves by it.
struct LeaseClockTests {
    @Test(arguments: [3_600, -3_600] as [Int64])
    func aJumpOfTheWallClockMovesNoLease(seconds: Int64) async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease, steps: 1...1)
        fixture.setWallClock(bySeconds: seconds)
        // A living lease stays…
        fixture.advance(seconds: 29)
        #expect(try await fixture.engine.recoverExpired().isEmpty)
        #expect(try await fixture.heartbeat(lease) == .continue)
        // …and a dead one goes in time.
        fixture.advance(seconds: 31)
        #expect(try await fixture.engine.recoverExpired() == [id])
        #expect(try await fixture.state(id) == "QUEUED")
    }

    @Test(arguments: [3_600, -3_600] as [Int64])
    func afterARestartEveryLeaseLastsItsWholeDuration(seconds: Int64) async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        _ = try #require(try await fixture.acquire())
        fixture.setWallClock(bySeconds: seconds)
        let engine = try fixture.reopened()
        try await engine.start()
        fixture.advance(seconds: 29)
        #expect(try await engine.recoverExpired().isEmpty)
        fixture.advance(seconds: 2)
        #expect(try await engine.recoverExpired() == [id])
        try engine.store.close()
    }

    /// Seen: a gateway that stood still for longer than a lease lasts took every living one.
    @Test func aPauseOfTheGatewayTakesNoLease() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        fixture.advance(seconds: 300)
        // What the sweeper does when it sees that its own round came late.
        try await fixture.engine.renewLeases()
        #expect(try await fixture.engine.recoverExpired().isEmpty)
        fixture.advance(seconds: 29)
        #expect(try await fixture.heartbeat(lease) == .continue)
        fixture.advance(seconds: 31)
        #expect(try await fixture.engine.recoverExpired() == [id])
    }

    @Test func aQuietHeartbeatWritesNothing() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease, steps: 1...1)
        let version = try await fixture.engine.store.job(id).job.version
        for _ in 0..<10 {
            #expect(try await fixture.heartbeat(lease) == .continue)
            fixture.advance(seconds: 20)
        }
        #expect(try await fixture.engine.store.job(id).job.version == version)
        #expect(try await fixture.engine.services().first?.state == "busy")
    }
}
