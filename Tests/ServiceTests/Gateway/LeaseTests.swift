internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

struct LeaseTests {
    @Test func aLeaseGoesToOneWorker() async throws {
        let fixture = try StoreFixture()
        for worker in 0..<8 { try await fixture.register("w\(worker)") }
        try await fixture.submit("k")
        let leases = try await withThrowingTaskGroup(of: Lease?.self) { group in
            for worker in 0..<8 {
                group.addTask { try await fixture.acquire("w\(worker)") }
            }
            return try await group.reduce(into: [Lease]()) { $0 += $1.map { [$0] } ?? [] }
        }
        #expect(leases.count == 1)
        #expect(leases.first?.epoch == 1 && leases.first?.attempt == 1)
    }

    @Test func anExpiredLeaseIsTakenBackAndItsEpochIsWorthless() async throws {
        let fixture = try StoreFixture()
        try await fixture.register("a")
        try await fixture.register("b")
        let id = try await fixture.submit("k")
        let old = try #require(try await fixture.acquire("a"))
        #expect(try await fixture.heartbeat(old, instance: "a", steps: 1...2) == .continue)
        fixture.advance(seconds: 29)
        #expect(try await fixture.engine.recoverExpired().isEmpty)
        fixture.advance(seconds: 2)
        #expect(try await fixture.engine.recoverExpired() == [id])
        #expect(try await fixture.state(id) == "QUEUED")

        let new = try #require(try await fixture.acquire("b"))
        #expect(new.epoch > old.epoch && new.attempt == 2)
        // The first worker comes back: nothing it says counts.
        #expect(try await fixture.heartbeat(old, instance: "a", steps: 3...3) == .lost)
        #expect(try await fixture.complete(old, instance: "a") == false)
        let stale = LeaseClaim(
            epoch: Int64(old.epoch),
            holder: StoreFixture.holder("a", boot: "b1")
        )
        #expect(try await fixture.engine.holds(id, stale) == false)
        #expect(try await fixture.heartbeat(new, instance: "a") == .lost)
        #expect(try await fixture.heartbeat(new, instance: "b", steps: 3...9) == .continue)
        #expect(try await fixture.complete(new, instance: "b"))
        #expect(try await fixture.state(id) == "SUCCEEDED")
        let steps = try await fixture.events(id).compactMap(\.progress?.step)
        #expect(steps == Array(1...9))
    }

    /// Seen: a new attempt was shown with the step, the loss and the time left of the one before, and kept them for
    /// good where it was cancelled before it had told anything.
    @Test func aNewAttemptBeginsWhereItWillGoOn() async throws {
        let fixture = try StoreFixture()
        try await fixture.register("a")
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire("a"))
        #expect(try await fixture.heartbeat(lease, instance: "a", steps: 1...7) == .continue)
        #expect(try await fixture.engine.detail(id).summary.progress.step == 7)
        fixture.advance(seconds: 40)
        #expect(try await fixture.engine.recoverExpired() == [id])
        let next = try #require(try await fixture.acquire("a"))
        #expect(try await fixture.engine.detail(id).summary.progress.step == 0)
        #expect(try await fixture.engine.detail(id).summary.progress.loss == nil)
        try await fixture.engine.cancel(id, now: true, by: "ada")
        #expect(try await fixture.complete(next, .cancelled, reason: "", instance: "a"))
        #expect(try await fixture.engine.detail(id).summary.progress.step == 0)
    }

    /// However long a lease is, a worker is heard before it would be taken for silent.
    @Test(arguments: [(3_000, 1), (30_000, 5), (60_000, 10), (1_200_000, 20), (3_600_000, 20)])
    func heartbeatsComeBeforeSilence(lease: Int64, seconds: UInt32) {
        #expect(WorkerPresence.heartbeatSeconds(lease: lease) == seconds)
        #expect(Int64(seconds) * 3_000 <= WorkerPresence.silenceLimit)
    }

    @Test func aRepeatedHeartbeatTellsNothingTwice() async throws {
        let fixture = try StoreFixture()
        try await fixture.register("a")
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire("a"))
        func beat(_ steps: ClosedRange<UInt64>) async throws {
            let events = steps.map { step in
                JobEvent(
                    jobID: lease.jobID,
                    seq: step,
                    type: .progress,
                    progress: JobProgress(step: step, totalSteps: 9, phase: "train")
                )
            }
            #expect(
                try await fixture.heartbeat(lease, instance: "a", events: events) == .continue
            )
        }
        try await beat(1...3)
        // The answer was lost: the same again, and what has come since.
        try await beat(1...3)
        try await beat(2...5)
        #expect(try await fixture.events(id).compactMap(\.progress?.step) == [1, 2, 3, 4, 5])
        // The next lease counts from 1 again.
        fixture.advance(seconds: 40)
        #expect(try await fixture.engine.recoverExpired() == [id])
        let next = try #require(try await fixture.acquire("a"))
        let event = JobEvent(
            jobID: id,
            seq: 1,
            type: .progress,
            progress: JobProgress(step: 6, totalSteps: 9, phase: "train")
        )
        _ = try await fixture.heartbeat(next, instance: "a", events: [event])
        #expect(try await fixture.events(id).compactMap(\.progress?.step).last == 6)
    }

    /// Seen in docs as open: heartbeats that are under way at once, the periodic one and an attempt's last.
    @Test func heartbeatsAtOnceTellEachEventOnce() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        let events = (1...40).map { step in
            JobEvent(
                jobID: id,
                seq: UInt64(step),
                type: .metric,
                metricsJSON: Array(#"{"step":\#(step)}"#.utf8)
            )
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for last in [10, 20, 30, 40, 40, 40] {
                group.addTask {
                    _ = try await fixture.heartbeat(lease, events: Array(events[..<last]))
                }
            }
            try await group.waitForAll()
        }
        let told = try await fixture.events(id).filter { $0.type == .metric }
        #expect(told.map(\.metricsJSON) == events.map(\.metricsJSON))
        // What was taken is stored with the events: the next gateway knows it, too.
        let engine = try fixture.reopened()
        try await engine.start()
        _ = try await engine.heartbeat(
            id,
            LeaseClaim(epoch: 1, holder: StoreFixture.holder("train-1", boot: "b1")),
            events
        )
        #expect(try await fixture.events(id).count { $0.type == .metric } == 40)
        try engine.store.close()
    }

    /// How a worker tells that an attempt ended.
    private static func end(
        _ id: String,
        _ epoch: UInt64,
        _ outcome: CompleteLeaseRequest.Outcome,
        _ reason: String
    ) -> CompleteLeaseRequest {
        CompleteLeaseRequest(
            jobID: id,
            epoch: epoch,
            outcome: outcome,
            reason: reason,
            message: "no",
            resultsJSON: outcome == .succeeded ? Array("{}".utf8) : [],
            bootID: "b1"
        )
    }

    /// docs/JOBS.md, Leases.
    ///
    /// Seen: FAILED after SUCCEEDED was answered *accepted*, and audited as done.
    @Test func anotherEndThanTheOneBeforeIsRefusedAndAudited() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let ends: [(CompleteLeaseRequest.Outcome, String)] = [
                (.succeeded, ""), (.failed, "USER_ERROR"), (.failed, "DIVERGED"),
            ]
            for (outcome, reason) in ends {
                let id = try await gateway.submit(ada, key: "k\(outcome)\(reason)")
                let lease = try await gateway.lease(worker, "quant-1")
                func complete(_ outcome: CompleteLeaseRequest.Outcome, _ reason: String)
                    async throws -> Bool
                {
                    let end = Self.end(id, lease.epoch, outcome, reason)
                    return try await worker.call(QatMethods.completeLease, end).accepted
                }
                #expect(try await complete(outcome, reason))
                #expect(try await complete(outcome, reason))
                let count = gateway.denials.count
                let others = ends.filter { $0 != (outcome, reason) }
                for other in others {
                    #expect(try await complete(other.0, other.1) == false, "\(outcome) \(other)")
                }
                let state = try await gateway.jobs.state(id)
                #expect(state == (outcome == .succeeded ? "SUCCEEDED" : "FAILED"))
                #expect(gateway.denials.count == count + others.count)
                #expect(
                    gateway.denials.last?.contains("job \(id) ended as \(state)") == true
                )
            }
        }
    }

    @Test func aRepeatedCompletionIsAcceptedOnce() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease)
        #expect(try await fixture.complete(lease))
        let count = try await fixture.events(id).count
        #expect(try await fixture.complete(lease))
        #expect(try await fixture.complete(lease, .failed, reason: "INTERNAL") == false)
        #expect(try await fixture.events(id).count == count)
        #expect(try await fixture.state(id) == "SUCCEEDED")
    }

    @Test func aRestartOfTheGatewayGivesWorkersTimeToBeHeard() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease, steps: 1...1)
        fixture.advance(seconds: 3600)
        let engine = try fixture.reopened()
        try await engine.start()
        #expect(try await engine.recoverExpired().isEmpty)
        #expect(try await fixture.heartbeat(lease, steps: 2...2) == .continue)
        fixture.advance(seconds: 31)
        #expect(try await engine.recoverExpired() == [id])
        try engine.store.close()
    }

    @Test func aRestartedWorkerLosesItsLeaseAtOnce() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(boot: "b1")
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease, steps: 1...1)
        try await fixture.register(boot: "b2")
        #expect(try await fixture.state(id) == "QUEUED")
        #expect(try await fixture.heartbeat(lease) == .lost)
        let refused = await #expect(throws: StoreError.self) {
            try await fixture.acquire(boot: "b1")
        }
        #expect(refused?.code == .invalidState)
        #expect(try await fixture.acquire(boot: "b2")?.attempt == 2)
    }

    @Test func aJobThatKillsItsWorkerAtTheSameStepFails() async throws {
        let fixture = try StoreFixture()
        let id = try await fixture.submit("k")
        for boot in 1...3 {
            try await fixture.register(boot: "b\(boot)")
            let lease = try #require(try await fixture.acquire(boot: "b\(boot)"))
            _ = try await fixture.heartbeat(lease, boot: "b\(boot)", steps: 1...4)
            if boot == 2 {
                // Lost at the same step again: it is kept back for a while.
                try await fixture.register(boot: "b2b")
                fixture.advance(seconds: 1)
                #expect(try await fixture.acquire(boot: "b2b") == nil)
                fixture.advance(seconds: 2)
            }
        }
        try await fixture.register(boot: "b4")
        let summary = try await fixture.engine.detail(id).summary
        #expect(summary.state == "FAILED" && summary.reason == "CRASH_LOOP")
        #expect(summary.reasonMessage.contains("step 4"))
    }

    @Test func lossesWithProgressInBetweenAreForgiven() async throws {
        let fixture = try StoreFixture()
        let id = try await fixture.submit("k")
        for boot in 1...5 {
            try await fixture.register(boot: "b\(boot)")
            let lease = try #require(try await fixture.acquire(boot: "b\(boot)"))
            let step = UInt64(boot)
            _ = try await fixture.heartbeat(lease, boot: "b\(boot)", steps: step...step)
        }
        try await fixture.register(boot: "b6")
        #expect(try await fixture.state(id) == "QUEUED")
    }

    /// Failures that may pass are tried once more; those that will not are final.
    @Test(arguments: [
        ("OUT_OF_MEMORY", true), ("INTERNAL", true), ("USER_ERROR", false),
        ("EXCEEDS_MEMORY", false),
    ])
    func someFailuresAreTriedOnceMore(reason: String, isTriedAgain: Bool) async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease)
        #expect(try await fixture.complete(lease, .failed, reason: reason))
        #expect(try await fixture.state(id) == (isTriedAgain ? "QUEUED" : "FAILED"))
        guard isTriedAgain else { return }
        let again = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(again)
        #expect(try await fixture.complete(again, .failed, reason: reason))
        let summary = try await fixture.engine.detail(id).summary
        #expect(summary.state == "FAILED" && summary.reason == reason)
    }

    /// Seen: a trainer with 1.2 GB failed the whole queue, a job in six seconds, beside one of 25 GB.
    @Test func whatIsTooMuchForOneWorkerWaitsForALargerOne() async throws {
        let fixture = try StoreFixture()
        try await fixture.register("small", memory: 1_200_000_000)
        try await fixture.register("large", memory: 25_300_000_000)
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire("small"))
        _ = try await fixture.heartbeat(lease, instance: "small")
        for _ in 0..<2 {
            // Told again, after a lost answer, it is the same.
            #expect(
                try await fixture.complete(
                    lease,
                    .failed,
                    reason: "EXCEEDS_MEMORY",
                    instance: "small"
                )
            )
            let summary = try await fixture.engine.detail(id).summary
            #expect(summary.state == "QUEUED" && summary.reason == "EXCEEDS_MEMORY")
        }
        #expect(try await fixture.acquire("small") == nil)
        // One that is as small has no more room; one that is larger has.
        try await fixture.register("other", memory: 1_200_000_000)
        #expect(try await fixture.acquire("other") == nil)
        let again = try #require(try await fixture.acquire("large"))
        _ = try await fixture.heartbeat(again, instance: "large")
        // Nobody has more: it is final, and a retry begins anew.
        #expect(
            try await fixture.complete(again, .failed, reason: "EXCEEDS_MEMORY", instance: "large")
        )
        #expect(try await fixture.state(id) == "FAILED")
        #expect(fixture.engine.memoryNeeds.floor(of: id) == nil)
    }

    /// A word of another version is told, not only taken for a fault that is tried again.
    @Test func aReasonThatNobodyKnowsIsSaid() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease)
        #expect(try await fixture.complete(lease, .failed, reason: "OOM"))
        let summary = try await fixture.engine.detail(id).summary
        #expect(summary.state == "QUEUED" && summary.reason == "INTERNAL")
        #expect(summary.reasonMessage.contains("the reason OOM, which"), "\(summary.reasonMessage)")
    }

    /// Seen: a worker's ARTIFACT_MISSING stood as the job's end, whatever was stored.
    @Test func aWorkerThatMissesAnInputIsBelievedIfItIsMissing() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            for (isStored, reason) in [(true, "INTERNAL"), (false, "ARTIFACT_MISSING")] {
                let id = try await gateway.submit(ada, key: "k\(isStored)")
                // A fault of the program is tried once more.
                for _ in 0..<(isStored ? 2 : 1) {
                    let lease = try await gateway.lease(worker, "quant-1")
                    if !isStored { try gateway.artifacts.remove(.of("m")) }
                    let done = try await worker.call(
                        QatMethods.completeLease,
                        CompleteLeaseRequest(
                            jobID: id,
                            epoch: lease.epoch,
                            outcome: .failed,
                            reason: "ARTIFACT_MISSING",
                            message: "no m.gguf",
                            bootID: "b1"
                        )
                    )
                    #expect(done.accepted)
                }
                let job = try await gateway.jobs.engine.detail(id).summary
                #expect(job.state == "FAILED" && job.reason == reason)
                #expect(job.reasonMessage.hasSuffix("no m.gguf"))
            }
        }
    }

    /// Seen: after CANCELLING, `watch --json` said RUNNING.
    @Test func whatIsToldOnTheWayToTheEndIsSaidToBeOnTheWay() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease, steps: 1...1)
        try await fixture.engine.cancel(id, now: false, by: "ada")
        #expect(try await fixture.heartbeat(lease, steps: 2...3) == .cancel)
        #expect(try await fixture.complete(lease, .cancelled))
        #expect(
            try await fixture.events(id).map(\.state) == [
                "BLOCKED", "QUEUED", "STARTING", "RUNNING", "RUNNING", "CANCELLING", "CANCELLING",
                "CANCELLING", "CANCELLED",
            ]
        )
        let summary = try await fixture.engine.detail(id).summary
        #expect(summary.reasonMessage == "cancelled by ada; said so")
    }

    /// Seen: status said that the job waited for a worker which was free.
    @Test func aJobThatIsKeptBackSaysSoUntilItIsNot() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        for _ in 0..<2 {
            let lease = try #require(try await fixture.acquire())
            #expect(try await fixture.complete(lease, .failed, reason: "KILLED"))
        }
        func why() async throws -> String { try await fixture.engine.detail(id).summary.waitReason }
        #expect(try await why() == "is kept back for another 2 s after 2 losses in a row")
        #expect(try await fixture.acquire() == nil)
        fixture.advance(seconds: 1)
        #expect(try await why().contains("another 1 s"))
        // Whoever cancels and retries it wants it now.
        try await fixture.engine.cancel(id, now: true, by: "ada")
        try await fixture.engine.retry(id, by: "ada")
        #expect(try await why() == "waits for train-1 to become free")
        #expect(try await fixture.acquire()?.jobID == id)
    }

    /// docs/JOBS.md, Leases, of every end that there is; the method is idempotent, so a client repeats it
    /// when an answer was lost.
    ///
    /// Seen: *accepted: false* of those that put the job back, and an honest worker in the audit log.
    @Test(arguments: [
        (CompleteLeaseRequest.Outcome.released, ""), (.released, "NO_DISK"), (.failed, "KILLED"),
        (.failed, "STALLED"), (.failed, "NO_DISK"), (.failed, "OUT_OF_MEMORY"),
        (.failed, "INTERNAL"), (.failed, "nonsense"), (.failed, "USER_ERROR"), (.cancelled, ""),
        (.succeeded, ""),
    ])
    func everyEndIsAcceptedAgainAndNoOther(
        outcome: CompleteLeaseRequest.Outcome,
        reason: String
    ) async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(worker, "quant-1")
            func complete(_ outcome: CompleteLeaseRequest.Outcome, _ reason: String)
                async throws -> Bool
            {
                let end = Self.end(id, lease.epoch, outcome, reason)
                return try await worker.call(QatMethods.completeLease, end).accepted
            }
            #expect(try await complete(outcome, reason))
            let job = try await gateway.jobs.engine.store.job(id).job
            #expect(try await complete(outcome, reason))
            #expect(try await gateway.jobs.engine.store.job(id).job == job)
            #expect(gateway.denials.isEmpty)
            let other: (CompleteLeaseRequest.Outcome, String) =
                outcome == .succeeded ? (.failed, "DIVERGED") : (.succeeded, "")
            #expect(try await !complete(other.0, other.1))
            #expect(try await !complete(.failed, "EXPORT_FAILED"))
            #expect(gateway.denials.count == 2)
            #expect(try await gateway.jobs.engine.store.job(id).job == job)
        }
    }

    /// A lease that ended by itself was taken away: nothing that its worker tells of its end counts.
    @Test(arguments: ["", "KILLED", "WORKER_LOST"])
    func whoWasNotHeardIsNotBelieved(reason: String) async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        fixture.advance(seconds: 31)
        #expect(try await fixture.engine.recoverExpired() == [id])
        let outcomes: [CompleteLeaseRequest.Outcome] = [.succeeded, .failed, .released, .cancelled]
        for outcome in outcomes {
            #expect(try await !fixture.complete(lease, outcome, reason: reason))
        }
        #expect(try await fixture.state(id) == "QUEUED")
    }

    /// Every end has calls under way; whose lease it was is no intruder, everybody else is.
    ///
    /// Seen: two denials of the holder itself for every `cancel`.
    @Test func theHolderIsNoIntruderWhenItsLeaseHasEnded() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let other = try await gateway.worker(.quant, "quant-2")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(worker, "quant-1")
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id, now: true))
            let end = CompleteLeaseRequest(
                jobID: id,
                epoch: lease.epoch,
                outcome: .cancelled,
                bootID: "b1"
            )
            #expect(try await worker.call(QatMethods.completeLease, end).accepted)
            func late(_ client: RPCClient, _ instance: String) async throws {
                let beat = HeartbeatRequest(
                    jobID: id,
                    epoch: lease.epoch,
                    instance: instance,
                    bootID: "b1"
                )
                let answer = try await client.call(QatMethods.heartbeat, beat)
                #expect(answer.directive == .lost)
                let wait = AwaitDirectiveRequest(
                    jobID: id,
                    epoch: lease.epoch,
                    instance: instance,
                    bootID: "b1"
                )
                #expect(
                    try await client.call(QatMethods.awaitDirective, wait).directive == .lost
                )
            }
            try await late(worker, "quant-1")
            #expect(gateway.denials.isEmpty)
            try await late(other, "quant-2")
            #expect(gateway.denials.count == 2)
            #expect(gateway.denials.allSatisfy { $0.contains("quant/quant-2") })
        }
    }

    /// docs/OPERATIONS.md: status warns of workers' certificates; an upgrade restarts the gateway first.
    ///
    /// Seen: no warning until each worker was started anew.
    @Test func aRestartOfTheGatewayKnowsWhenCertificatesEnd() async throws {
        let fixture = try StoreFixture()
        try await fixture.engine.register(
            Worker(
                identity: WorkerIdentity(role: .train, instance: "train-1"),
                boot: "b1",
                address: "127.0.0.1:1",
                offer: Offer(kinds: [.train]),
                cores: 2,
                memory: 1 << 30,
                version: "0",
                registered: fixture.engine.now.unix,
                certificateEnds: 1_764_547_200_000,
                stateID: "s"
            )
        )
        let engine = try fixture.reopened()
        try await engine.start()
        let services = try await engine.services()
        #expect(services.map(\.certificateEndsUnixMs) == [1_764_547_200_000])
        try engine.store.close()
    }
}
