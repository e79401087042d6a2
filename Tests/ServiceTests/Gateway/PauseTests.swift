internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// docs/JOBS.md, Pause, on a real store.
struct PauseTests {
    private func order(_ fixture: StoreFixture, _ lease: Lease, knowsPause: Bool) async throws
        -> HeartbeatResponse.Directive
    {
        try await fixture.engine.heartbeat(
            lease.jobID,
            Self.claim(lease),
            [],
            knowsPause: knowsPause
        )
    }

    private static func claim(_ lease: Lease) -> LeaseClaim {
        LeaseClaim(epoch: Int64(lease.epoch), holder: StoreFixture.holder("train-1", boot: "b1"))
    }

    private func save(_ fixture: StoreFixture, _ lease: Lease, step: UInt64) async throws {
        let file = OutputFile(name: "state", digest: .of("step \(step)"), size: 1)
        let checkpoint = Checkpoint(step: step, files: [file])
        #expect(
            try await fixture.engine.saveCheckpoint(lease.jobID, Self.claim(lease), checkpoint)
                != nil
        )
    }

    /// A job at work that was asked to stop for a pause.
    private func pausing(_ fixture: StoreFixture) async throws -> Lease {
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease, steps: 1...7)
        #expect(try await fixture.engine.pause(id, by: "ada"))
        #expect(try await fixture.state(id) == "PAUSING")
        return lease
    }

    @Test func aJobThatWaitsIsHeldBackUntilItIsResumed() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        #expect(try await fixture.engine.pause(id, by: "ada"))
        #expect(try await !fixture.engine.pause(id, by: "bob"))
        let summary = try await fixture.engine.detail(id).summary
        #expect(summary.state == "PAUSED" && summary.reason == "PAUSED_BY")
        #expect(summary.waitReason == "paused by ada; qat-client resume \(id)")
        #expect(summary.finishedUnixMs == nil)
        #expect(try await fixture.acquire() == nil)
        // What comes later is not held back by it.
        let later = try await fixture.submit("later")
        #expect(try #require(try await fixture.acquire()).jobID == later)
        #expect(try await fixture.engine.resume(id, by: "bob"))
        #expect(try await !fixture.engine.resume(id, by: "bob"))
        #expect(try await fixture.state(id) == "QUEUED")
        #expect(try #require(try await fixture.acquire()).jobID == id)
        let states = try await fixture.events(id).map(\.state)
        #expect(states == ["BLOCKED", "QUEUED", "PAUSED", "BLOCKED", "QUEUED", "STARTING"])
    }

    @Test func aJobAtWorkStoresItsCheckpointAndGoesOnFromThere() async throws {
        let fixture = try StoreFixture()
        let lease = try await pausing(fixture)
        #expect(try await order(fixture, lease, knowsPause: true) == .pause)
        #expect(
            try await fixture.engine.directive(lease.jobID, Self.claim(lease), knowsPause: true)
                == .pause
        )
        try await save(fixture, lease, step: 8)
        for _ in 0..<2 {
            #expect(try await fixture.complete(lease, .released, reason: "PAUSED_BY"))
        }
        let summary = try await fixture.engine.detail(lease.jobID).summary
        #expect(summary.state == "PAUSED" && summary.reasonMessage == "paused by ada; said so")
        // Where it will begin; of a pace nothing is said.
        #expect(summary.progress.step == 8 && summary.progress.etaSeconds == nil)
        #expect(try await fixture.acquire() == nil)
        #expect(try await order(fixture, lease, knowsPause: true) == .lost)
        try await fixture.engine.resume(lease.jobID, by: "ada")
        let next = try #require(try await fixture.acquire())
        #expect(next.jobID == lease.jobID && next.attempt == 2 && next.checkpoint?.step == 8)
        #expect(try await fixture.engine.store.job(lease.jobID).job.losses == 0)
    }

    /// docs/PROTOCOL.md: a worker of before there were pauses is told to cancel, and its end is the job's rest.
    @Test func aWorkerThatKnowsNoPauseIsToldToCancel() async throws {
        let fixture = try StoreFixture()
        let lease = try await pausing(fixture)
        #expect(try await order(fixture, lease, knowsPause: false) == .cancel)
        for _ in 0..<2 { #expect(try await fixture.complete(lease, .cancelled)) }
        #expect(try await fixture.state(lease.jobID) == "PAUSED")
        try await fixture.engine.resume(lease.jobID, by: "ada")
        // Resumed before it has stopped, the job is queued, and its stop is no failure.
        let second = try #require(try await fixture.acquire())
        try await fixture.engine.pause(lease.jobID, by: "ada")
        #expect(try await order(fixture, second, knowsPause: false) == .cancel)
        try await fixture.engine.resume(lease.jobID, by: "ada")
        #expect(try await order(fixture, second, knowsPause: false) == .continue)
        #expect(try await fixture.state(lease.jobID) == "RUNNING")
        #expect(try await fixture.complete(second, .cancelled))
        let job = try await fixture.engine.store.job(lease.jobID).job
        #expect(job.state == .queued && job.failures == 0 && job.losses == 0)
    }

    @Test func whatWaitsForAPausedJobGoesOnWaiting() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        let first = try await fixture.submit("a", kind: "quantize")
        let second = try await fixture.submit("b", kind: "quantize", model: "job:\(first)")
        let third = try await fixture.submit("c", kind: "quantize", model: "job:\(second)")
        try await fixture.engine.pause(first, by: "ada")
        try await fixture.engine.pause(second, by: "ada")
        #expect(try await fixture.state(third) == "BLOCKED")
        // Nor is it removed from under what rests.
        await #expect(throws: StoreError.self) { _ = try await fixture.engine.remove(first) }
        try await fixture.engine.resume(second, by: "ada")
        #expect(try await fixture.state(second) == "BLOCKED")
        try await fixture.engine.pause(second, by: "ada")
        try await fixture.engine.resume(first, by: "ada")
        let lease = try #require(try await fixture.acquire(role: .quant))
        #expect(try await fixture.complete(lease))
        // Its input is there, and it rests.
        #expect(try await fixture.state(second) == "PAUSED")
        #expect(try await fixture.acquire(role: .quant) == nil)
        await #expect(throws: StoreError.self) { _ = try await fixture.engine.remove(first) }
        try await fixture.engine.resume(second, by: "ada")
        let next = try #require(try await fixture.acquire(role: .quant))
        #expect(next.jobID == second && next.inputs.first?.files.first?.digest == .of("out"))
    }

    @Test func whatItWaitsForMayFailMeanwhile() async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("a", kind: "quantize")
        let second = try await fixture.submit("b", kind: "quantize", model: "job:\(first)")
        let third = try await fixture.submit("c", kind: "quantize", model: "job:\(second)")
        try await fixture.engine.pause(second, by: "ada")
        try await fixture.engine.cancel(first, now: true, by: "ada")
        #expect(try await fixture.state(second) == "PAUSED")
        #expect(try await fixture.state(third) == "BLOCKED")
        try await fixture.engine.resume(second, by: "ada")
        for id in [second, third] {
            let summary = try await fixture.engine.detail(id).summary
            #expect(summary.state == "FAILED" && summary.reason == "ARTIFACT_MISSING")
        }
    }

    @Test func aWorkerThatIsLostMeanwhileLeavesItPaused() async throws {
        let fixture = try StoreFixture()
        let lease = try await pausing(fixture)
        // A restart of the gateway is no loss, and forgets no wish.
        let engine = try fixture.reopened()
        try await engine.start()
        #expect(try await engine.store.job(lease.jobID).job.state == .pausing)
        fixture.advance(seconds: 31)
        #expect(try await engine.recoverExpired() == [lease.jobID])
        let job = try await engine.store.job(lease.jobID).job
        #expect(job.state == .paused && job.losses == 1)
        #expect(job.message.hasPrefix("paused by ada; WORKER_LOST: "))
        let again = try fixture.reopened()
        try await again.start()
        #expect(try await again.store.job(lease.jobID).job == job)
        try engine.store.close()
        try again.store.close()
    }

    @Test func aDeadlineEndsWhatRests() async throws {
        let fixture = try StoreFixture()
        var submission = try fixture.submission("k")
        submission.deadline = fixture.engine.now.unix + 60_000
        let id = try await fixture.engine.submit(submission).id
        try await fixture.engine.pause(id, by: "ada")
        // Counted also by a gateway that comes after.
        let engine = try fixture.reopened()
        try await engine.start()
        fixture.advance(seconds: 61)
        #expect(try await engine.endOverdue() == [id])
        let summary = try await engine.detail(id).summary
        #expect(summary.state == "FAILED" && summary.reason == "DEADLINE")
        try engine.store.close()
    }

    @Test func aPausedJobCountsAsOneThatWaits() async throws {
        let quota = AccessPolicy.Quota(queued: 2, running: 1)
        var policy = AccessPolicy()
        policy.quota = quota
        let fixture = try StoreFixture(policy: policy)
        func submit(_ key: String) async throws -> String {
            try await fixture.engine.submit(try fixture.submission(key), quota: quota).id
        }
        try await fixture.register()
        try await fixture.register("train-2")
        let first = try await submit("a")
        let second = try await submit("b")
        try await fixture.engine.pause(first, by: "ada")
        let error = await #expect(throws: StoreError.self) { _ = try await submit("c") }
        #expect(error?.code == .quota)
        // Resumed it is one of them, as it was.
        try await fixture.engine.resume(first, by: "ada")
        let lease = try #require(try await fixture.acquire())
        #expect(lease.jobID == first)
        // One that stops runs still.
        try await fixture.engine.pause(first, by: "ada")
        #expect(try await fixture.acquire("train-2") == nil)
        // And whoever has as many waiting as may wait pauses what runs all the same.
        _ = try await submit("c")
        #expect(try await fixture.complete(lease, .released, reason: "PAUSED_BY"))
        #expect(try #require(try await fixture.acquire("train-2")).jobID == second)
    }

    /// docs/JOBS.md, Limits: jobs in a row that wait for one another, as long as they have not ended.
    @Test func whatRestsIsOneOfARow() async throws {
        var limits = JobLimits()
        limits.chainDepth = 3
        let fixture = try StoreFixture(limits: limits)
        var last = try await fixture.submit("0", kind: "quantize")
        for index in 1..<3 {
            last = try await fixture.submit("\(index)", kind: "quantize", model: "job:\(last)")
        }
        let tail = last
        try await fixture.engine.pause(tail, by: "ada")
        let error = await #expect(throws: StoreError.self) {
            try await fixture.submit("3", kind: "quantize", model: "job:\(tail)")
        }
        #expect(error?.message.contains("limit is 3") == true)
    }

    @Test func aPipelineIsPausedAndResumedWhole() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let (id, _) = try await fixture.engine.submit(try fixture.pipeline("p"))
        let lease = try #require(try await fixture.acquire())
        #expect(try await fixture.engine.pausePipeline(id, by: "ada"))
        #expect(try await !fixture.engine.pausePipeline(id, by: "ada"))
        let states = try await fixture.engine.pipeline(id)
        #expect(Set(states.jobs.map(\.state)) == ["PAUSING", "PAUSED"])
        #expect(states.summary.state == "RUNNING")
        #expect(try await fixture.complete(lease, .released, reason: "PAUSED_BY"))
        #expect(try await fixture.engine.pipeline(id).summary.state == "PAUSED")
        #expect(try await fixture.acquire() == nil)
        let retry = await #expect(throws: StoreError.self) {
            try await fixture.engine.retryPipeline(id, by: "ada")
        }
        #expect(retry?.message.contains("qat-client resume \(id)") == true)
        #expect(try await fixture.engine.resumePipeline(id, by: "ada"))
        #expect(try await !fixture.engine.resumePipeline(id, by: "ada"))
        #expect(try await fixture.engine.pipeline(id).jobs.map(\.state) == ["QUEUED", "QUEUED"])
        // One that is over stays so; when all are, there is nothing to pause.
        let first = try #require(try await fixture.acquire())
        #expect(try await fixture.complete(first))
        #expect(try await fixture.engine.pausePipeline(id, by: "ada"))
        let mixed = try await fixture.engine.pipeline(id).jobs.map(\.state)
        #expect(Set(mixed) == ["SUCCEEDED", "PAUSED"])
        try await fixture.engine.cancelPipeline(id, now: true, by: "ada")
        for call in [fixture.engine.pausePipeline, fixture.engine.resumePipeline] {
            let error = await #expect(throws: StoreError.self) { _ = try await call(id, "ada") }
            #expect(error?.code == .invalidState && error?.message.contains(id) == true)
        }
    }

    private static func allowed(_ gateway: GatewayFixture, _ method: String) -> [String] {
        gateway.audit.filter { $0.isAllowed && $0.method == "qat.v1.Jobs/\(method)" }.map(\.rule)
    }

    @Test func usersPauseTheirOwnJobsAndOperatorsAll() async throws {
        var policy = AccessPolicy()
        policy.operators = ["root"]
        try await GatewayFixture.run(policy) { gateway in
            let (ada, eve) = (try gateway.user("ada"), try gateway.user("eve"))
            let root = try gateway.user("root")
            let id = try await gateway.submit(ada)
            let pause = PauseJobRequest(jobID: id)
            let resume = ResumeJobRequest(jobID: id)
            #expect(await code { _ = try await eve.call(QatMethods.pauseJob, pause) } == .notFound)
            let paused = try await ada.call(QatMethods.pauseJob, pause)
            #expect(paused.state == "PAUSED" && paused.reasonMessage == "paused by ada")
            _ = try await ada.call(QatMethods.pauseJob, pause)
            #expect(
                await code { _ = try await eve.call(QatMethods.resumeJob, resume) } == .notFound
            )
            for _ in 0..<2 {
                #expect(try await root.call(QatMethods.resumeJob, resume).state == "QUEUED")
            }
            #expect(Self.allowed(gateway, "Pause") == ["job \(id)"])
            #expect(Self.allowed(gateway, "Resume") == ["job \(id)"])
            // Nothing is to be paused of what is over.
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id))
            #expect(
                await code { _ = try await ada.call(QatMethods.pauseJob, pause) }
                    == .failedPrecondition
            )
            #expect(
                await code { _ = try await ada.call(QatMethods.resumeJob, resume) }
                    == .failedPrecondition
            )
        }
    }

    @Test func aPipelineIsPausedOverTheWire() async throws {
        try await GatewayFixture.run { gateway in
            let (ada, eve) = (try gateway.user("ada"), try gateway.user("eve"))
            let (id, _) = try await gateway.jobs.engine.submit(try gateway.jobs.pipeline("p"))
            let pause = PausePipelineRequest(pipelineID: id)
            let resume = ResumePipelineRequest(pipelineID: id)
            let denied = await #expect(throws: RPCError.self) {
                _ = try await eve.call(QatMethods.pausePipeline, pause)
            }
            #expect(denied?.code == .notFound && denied?.message == "no pipeline \(id)")
            #expect(
                await code { _ = try await eve.call(QatMethods.resumePipeline, resume) }
                    == .notFound
            )
            for _ in 0..<2 {
                let paused = try await ada.call(QatMethods.pausePipeline, pause)
                #expect(paused.summary.state == "PAUSED")
            }
            for _ in 0..<2 {
                let resumed = try await ada.call(QatMethods.resumePipeline, resume)
                #expect(resumed.summary.state == "QUEUED")
            }
            #expect(Self.allowed(gateway, "PausePipeline") == ["pipeline \(id)"])
            #expect(Self.allowed(gateway, "ResumePipeline") == ["pipeline \(id)"])
        }
    }

    /// A pause reaches a worker that waits for its orders at once, and so does it that it was taken back.
    @Test func ordersToPauseArriveBetweenHeartbeats() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(worker, "quant-1")
            func ask(
                _ known: HeartbeatResponse.Directive,
                knowsPause: Bool = true
            ) async throws -> HeartbeatResponse.Directive {
                try await worker.call(
                    QatMethods.awaitDirective,
                    AwaitDirectiveRequest(
                        jobID: id,
                        epoch: lease.epoch,
                        instance: "quant-1",
                        bootID: "b1",
                        known: known,
                        waitSeconds: 25,
                        knowsPause: knowsPause
                    )
                ).directive
            }
            async let first = ask(.continue)
            try await Task.sleep(for: .milliseconds(100))
            _ = try await ada.call(QatMethods.pauseJob, PauseJobRequest(jobID: id))
            #expect(try await first == .pause)
            #expect(try await ask(.continue, knowsPause: false) == .cancel)
            async let second = ask(.pause)
            _ = try await ada.call(QatMethods.resumeJob, ResumeJobRequest(jobID: id))
            #expect(try await second == .continue)
            var beat = HeartbeatRequest(
                jobID: id,
                epoch: lease.epoch,
                instance: "quant-1",
                bootID: "b1"
            )
            _ = try await ada.call(QatMethods.pauseJob, PauseJobRequest(jobID: id))
            #expect(try await worker.call(QatMethods.heartbeat, beat).directive == .cancel)
            beat.knowsPause = true
            #expect(try await worker.call(QatMethods.heartbeat, beat).directive == .pause)
        }
    }
}
