internal import Foundation
internal import Jobs
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import Gateway

struct SchedulingTests {
    private func submit(
        _ fixture: StoreFixture,
        _ key: String,
        _ resources: Resources
    ) async throws -> String {
        let usual = try fixture.submission(key)
        return try await fixture.engine.submit(
            JobEngine.Submission(
                owner: usual.owner,
                key: key,
                digest: SHA256Digest.of(key),
                kind: usual.kind,
                name: key,
                spec: usual.spec,
                resources: resources,
                inputs: usual.inputs
            )
        ).id
    }

    private func reason(_ fixture: StoreFixture, _ id: String) async throws -> String {
        try await fixture.engine.detail(id).summary.waitReason
    }

    /// Seen: a hundred jobs that ask for a GPU stood before an ordinary one for ever.
    @Test func jobsThatFitNobodyStandBeforeNobody() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let gpu = Resources(accelerator: .gpu, devices: 8)
        var first = ""
        for index in 0..<100 {
            let id = try await submit(fixture, "gpu-\(index)", gpu)
            if index == 0 { first = id }
        }
        let ordinary = try await submit(fixture, "cpu", Resources())
        #expect(try await fixture.acquire()?.jobID == ordinary)
        #expect(try await fixture.acquire() == nil)
        // A worker that offers it takes the oldest.
        let offer = Offer(kinds: [.train], accelerator: .gpu, devices: 8)
        try await fixture.register("big", offer: offer)
        #expect(try await fixture.acquire("big")?.jobID == first)
    }

    /// Every request against every offer, beside a plain statement of what fits.
    @Test func whatIsLeasedFits() async throws {
        let fixture = try StoreFixture()
        var requests: [String: Resources] = [:]
        for accelerator in Accelerator.allCases {
            for (devices, nodes) in [(1, 1), (2, 1), (1, 2), (4, 4)] {
                let request = Resources(
                    accelerator: accelerator,
                    devices: devices,
                    nodes: nodes
                )
                let key = "\(accelerator)-\(devices)-\(nodes)"
                requests[try await submit(fixture, key, request)] = request
            }
        }
        var left = requests
        for (name, accelerator, devices, nodes) in [
            ("a", Accelerator.cpu, 1, 1), ("b", .gpu, 1, 1), ("c", .gpu, 2, 2), ("d", .cpu, 4, 4),
            ("e", .gpu, 4, 4),
        ] {
            let offer = Offer(
                kinds: [.train],
                accelerator: accelerator,
                devices: devices,
                nodes: nodes
            )
            try await fixture.register(name, offer: offer)
            var taken: Set<String> = []
            while let lease = try await fixture.acquire(name) {
                taken.insert(lease.jobID)
            }
            let expected = left.filter { _, request in
                (request.accelerator == .auto || request.accelerator == accelerator)
                    && request.devices <= devices && request.nodes <= nodes
            }
            #expect(taken == Set(expected.keys), "\(name)")
            for id in taken { left[id] = nil }
        }
        #expect(left.isEmpty)
    }

    @Test func eachJobSaysWhyItWaitsFromWhatWorkersOffer() async throws {
        let fixture = try StoreFixture()
        let id = try await submit(fixture, "k", Resources(accelerator: .gpu, devices: 8))
        #expect(try await reason(fixture, id) == "no worker for train jobs is registered")
        try await fixture.register()
        #expect(
            try await reason(fixture, id)
                == "waits for accelerator gpu, 8 devices; the workers offer "
                + "accelerator cpu, 1 device, 1 node"
        )
        let small = Offer(kinds: [.train], accelerator: .gpu, devices: 2)
        try await fixture.register("small", offer: small)
        #expect(
            try await reason(fixture, id)
                == "waits for accelerator gpu, 8 devices; the workers offer "
                + "accelerator cpu, 1 device, 1 node or accelerator gpu, 2 devices, 1 node"
        )
        let large = Offer(kinds: [.train], accelerator: .gpu, devices: 8)
        try await fixture.register("large", offer: large)
        #expect(try await reason(fixture, id) == "waits for large to become free")
    }

    /// Programs that models wrote run where an operator allows it, and nowhere else.
    @Test func codeRunsWhereItIsAllowed() async throws {
        let fixture = try StoreFixture()
        let id = try await submit(fixture, "k", Resources(runsCode: true))
        try await fixture.register()
        #expect(try await fixture.acquire() == nil)
        #expect(
            try await reason(fixture, id)
                == "waits for code execution; the workers offer accelerator cpu, 1 device, 1 node"
        )
        let plain = try await submit(fixture, "plain", Resources())
        let open = Offer(kinds: [.train], runsCode: true)
        try await fixture.register("open", offer: open)
        #expect(try await fixture.acquire("open")?.jobID == id)
        #expect(try await fixture.acquire("open")?.jobID == plain)
    }

    /// Seen: for ten seconds after a worker was stopped jobs waited for it "to become free".
    @Test func aWorkerThatStopsIsWaitedForByNobody() async throws {
        let fixture = try StoreFixture()
        let isConnected = Mutex(true)
        try await fixture.register()
        let held = try await submit(fixture, "held", Resources())
        #expect(try await fixture.acquire()?.jobID == held)
        let id = try await submit(fixture, "k", Resources())
        let holder = StoreFixture.holder("train-1", boot: "b1", role: .train)
        _ = try await fixture.engine.acquire(holder, isStopping: true) {
            isConnected.withLock { $0 }
        }
        // It has a job still, which it will hand back.
        #expect(try await fixture.engine.services().map(\.state) == ["stopping"])
        #expect(
            try await reason(fixture, id)
                == "no worker for train jobs takes any: train-1: is stopping"
        )
        // Gone at once, and not when ten seconds are over.
        isConnected.withLock { $0 = false }
        #expect(
            try await reason(fixture, id) == "no worker for train jobs answers; known: train-1"
        )
        // The process after it is there as any other.
        fixture.advance(seconds: 31)
        try await fixture.register(boot: "b2")
        #expect(try await reason(fixture, id) == "waits for train-1 to become free")
    }

    /// One that is connected and calls no more, as when it is stopped by a signal.
    @Test func aWorkerThatHangsIsToldAsSuch() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await submit(fixture, "k", Resources())
        let holder = StoreFixture.holder("train-1", boot: "b1", role: .train)
        try fixture.engine.registered(holder) { true }
        fixture.advance(seconds: 30)
        #expect(try await fixture.engine.services().map(\.state) == ["ready"])
        fixture.advance(seconds: 5)
        #expect(try await fixture.engine.services().map(\.state) == ["silent"])
        #expect(
            try await reason(fixture, id)
                == "no worker for train jobs takes any: train-1: was not heard of for 35 s, and may hang"
        )
        fixture.advance(seconds: 30)
        #expect(try await fixture.engine.services().map(\.state) == ["lost"])
    }

    /// Seen: a worker whose disk was full kept silent, passed for lost, and its job's note said that
    /// nobody answers.
    @Test func aWorkerThatTakesNoJobSaysWhy() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await submit(fixture, "k", Resources())
        let holder = StoreFixture.holder("train-1", boot: "b1", role: .train)
        #expect(try await fixture.engine.acquire(holder, obstacle: "2 MiB are free") == nil)
        #expect(
            try await reason(fixture, id)
                == "no worker for train jobs takes any: train-1: 2 MiB are free"
        )
        #expect(try await fixture.engine.services().map(\.state) == ["unready"])
        // Another one is waited for, and once there is room the job is taken.
        try await fixture.register("second")
        #expect(try await reason(fixture, id) == "waits for second to become free")
        #expect(try await fixture.acquire()?.jobID == id)
        #expect(try await fixture.engine.services().map(\.state) == ["ready", "busy"])
    }

    /// One row that cannot be read is shown as such, and stands before nobody.
    @Test func anUnreadableRowIsReportedAndHidesNothing() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let bad = try await fixture.submit("bad")
        let good = try await fixture.submit("good")
        try await fixture.execute("UPDATE job SET reason = 'NONSENSE' WHERE id = '\(bad)'")
        let jobs = try await fixture.engine.list(pageSize: 10, before: nil).jobs
        #expect(jobs.map(\.jobID) == [good, bad])
        let shown = try #require(jobs.last)
        #expect(shown.reason == "INTERNAL" && shown.reasonMessage.contains("NONSENSE"))
        let error = await #expect(throws: StoreError.self) { try await fixture.engine.detail(bad) }
        #expect(error?.code == .corrupt)
        #expect(try await fixture.acquire()?.jobID == good)
        let engine = try fixture.reopened()
        try await engine.start()
        try engine.store.close()
    }
}
