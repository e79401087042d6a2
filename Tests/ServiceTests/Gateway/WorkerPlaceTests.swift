internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Whose a worker's place is: the first process that lives keeps it, and who is long gone leaves it.
struct WorkerPlaceTests {
    private func refusal(_ body: () async throws -> Void) async -> StoreError? {
        await #expect(throws: StoreError.self) { try await body() }
    }

    /// Seen: after a restart of the gateway the process that came first won, and took the other's lease.
    @Test func aRestartOfTheGatewayGivesNobodysPlaceAway() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(boot: "b1")
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease, steps: 1...1)
        let engine = try fixture.reopened()
        try await engine.start()
        for _ in 0..<3 {
            fixture.advance(seconds: 9)
            let error = await refusal {
                try await fixture.register(boot: "b2", stateID: "elsewhere", engine: engine)
            }
            #expect(error?.code == .alreadyExists)
            #expect(error?.message.contains("process b1") == true)
            #expect(error?.message.contains("process b2") == true)
        }
        // The first comes back within a lease's time, keeps its place, and its lease.
        try await fixture.register(boot: "b1", engine: engine)
        #expect(try await engine.store.job(id).job.holder?.boot == "b1")
        #expect(try await engine.store.job(id).job.state == .running)
        let claim = LeaseClaim(
            epoch: Int64(lease.epoch),
            holder: StoreFixture.holder("train-1", boot: "b1")
        )
        #expect(try await engine.heartbeat(id, claim, []) == .continue)
        // Counted from when it was heard last.
        fixture.advance(seconds: 29)
        _ = await refusal {
            try await fixture.register(boot: "b2", stateID: "elsewhere", engine: engine)
        }
        fixture.advance(seconds: 2)
        try await fixture.register(boot: "b2", stateID: "elsewhere", engine: engine)
        #expect(try await engine.heartbeat(id, claim, []) == .lost)
        // Now that one lives, and the first is the second.
        _ = await refusal { try await fixture.register(boot: "b1", engine: engine) }
        try engine.store.close()
    }

    /// A supervisor's restart has the state folder, whose lock says that the process before is gone.
    @Test func aRestartOfTheWorkerTakesItsPlaceAtOnce() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(boot: "b1")
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        try await fixture.register(boot: "b2")
        #expect(try await fixture.state(id) == "QUEUED")
        #expect(try await fixture.heartbeat(lease) == .lost)
        // Also when the gateway was away meanwhile.
        let engine = try fixture.reopened()
        try await engine.start()
        try await fixture.register(boot: "b3", engine: engine)
        try engine.store.close()
        // Who does not say which folder it has waits, like a stranger.
        let plain = try StoreFixture()
        try await plain.register(boot: "b1", stateID: "")
        _ = await refusal { try await plain.register(boot: "b2", stateID: "") }
    }

    /// Over real connections: the first's breaks, and it comes back.
    @Test func aBrokenConnectionGivesNobodysPlaceAway() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let first = try await gateway.worker(.quant, "quant-1", boot: "first", stateID: "one")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(first, "quant-1", boot: "first")
            await first.close()
            // Longer than the gateway takes to see it.
            try await Task.sleep(for: .milliseconds(300))
            let second = try gateway.client(.service(role: "quant", instance: "quant-1"))
            let refused = await code {
                try await gateway.register(
                    second,
                    .quant,
                    "quant-1",
                    boot: "second",
                    stateID: "two"
                )
            }
            #expect(refused == .alreadyExists)
            let again = try gateway.client(.service(role: "quant", instance: "quant-1"))
            let beat = HeartbeatRequest(
                jobID: id,
                epoch: lease.epoch,
                instance: "quant-1",
                bootID: "first"
            )
            #expect(try await again.call(QatMethods.heartbeat, beat).directive == .continue)
        }
    }

    /// Seen: workers that were taken away a year ago stood in status, and before those that were there.
    @Test func whoHasBeenGoneForADayLeavesTheStatus() async throws {
        let fixture = try StoreFixture()
        try await fixture.register("a")
        try await fixture.register("b")
        func names(_ engine: JobEngine) async throws -> [String] {
            try await engine.services().map { "\($0.instance) \($0.state)" }
        }
        func hours(_ count: Int64) async throws {
            for _ in 0..<count {
                fixture.advance(seconds: 3_600)
                try await fixture.register("b")
                try await fixture.engine.rememberWorkers()
            }
        }
        try await hours(23)
        #expect(try await fixture.engine.forgetWorkers().isEmpty)
        #expect(try await names(fixture.engine) == ["b ready", "a lost"])
        let seen = try #require(try await fixture.engine.services().last?.lastSeenUnixMs)
        #expect(fixture.engine.now.unix - seen == 23 * 3_600_000)
        // A gateway that starts anew knows since when.
        let engine = try fixture.reopened()
        try await engine.start()
        let services = try await engine.services()
        #expect(services.first { $0.instance == "a" }?.lastSeenUnixMs == seen)
        try engine.store.close()
        try await hours(1)
        #expect(try await fixture.engine.forgetWorkers().map(\.instance) == ["a"])
        #expect(try await names(fixture.engine) == ["b ready"])
        #expect(try await fixture.engine.store.workers().map(\.identity.instance) == ["b"])
        // It may come again.
        try await fixture.register("a", boot: "b7", stateID: "new")
        #expect(try await names(fixture.engine) == ["a ready", "b ready"])
    }

    @Test func aWorkerWithALeaseIsNotForgotten() async throws {
        let fixture = try StoreFixture()
        try await fixture.register("a")
        try await fixture.submit("k")
        _ = try #require(try await fixture.acquire("a"))
        fixture.advance(seconds: 2 * 86_400)
        #expect(try await fixture.engine.forgetWorkers().isEmpty)
        _ = try await fixture.engine.recoverExpired()
        #expect(try await fixture.engine.forgetWorkers().map(\.instance) == ["a"])
    }

    /// Certificates by the thousand, a new one for every container, fill no memory.
    @Test func aThousandWorkersAreRememberedWithoutThoseThatLive() async throws {
        let fixture = try StoreFixture()
        let presence = fixture.engine.presence
        for index in 0..<(WorkerPresence.countLimit + 10) {
            let worker = Worker(
                identity: WorkerIdentity(role: .train, instance: "w\(index)"),
                boot: "b",
                address: "127.0.0.1:1",
                offer: Offer(kinds: [.train]),
                cores: 1,
                memory: 1,
                version: "0",
                registered: 0
            )
            #expect(presence.add(worker, heard: fixture.engine.now) == nil)
            fixture.advance(seconds: 1)
        }
        let gone = try await fixture.engine.forgetWorkers()
        #expect(gone.map(\.instance) == (0..<10).map { "w\($0)" })
        #expect(presence.all.count == WorkerPresence.countLimit)
    }

    /// The gateway stood still, not its workers.
    @Test func aPauseOfTheGatewaySilencesNobodyWhoIsConnected() throws {
        let presence = WorkerPresence(grace: 30_000)
        func worker(_ boot: String) -> Worker {
            Worker(
                identity: WorkerIdentity(role: .train, instance: "a"),
                boot: boot,
                address: "127.0.0.1:1",
                offer: Offer(kinds: [.train]),
                cores: 1,
                memory: 1,
                version: "0",
                registered: 0
            )
        }
        #expect(presence.add(worker("b1"), heard: Moment(unix: 0, uptime: 0)) { true } == nil)
        let later = Moment(unix: 300_000, uptime: 300_000)
        presence.renew(at: later)
        #expect(presence.add(worker("b2"), heard: later)?.boot == "b1")
    }
}
