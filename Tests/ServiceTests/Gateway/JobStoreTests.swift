internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

struct JobStoreTests {
    @Test func oneKeyIsOneJobHoweverOftenItIsSubmitted() async throws {
        let fixture = try StoreFixture()
        let submission = try fixture.submission("k")
        let ids = try await withThrowingTaskGroup(of: (String, Bool).self) { group in
            for _ in 0..<50 {
                group.addTask {
                    let result = try await fixture.engine.submit(submission)
                    return (result.id, result.isCreated)
                }
            }
            return try await group.reduce(into: [(String, Bool)]()) { $0.append($1) }
        }
        #expect(Set(ids.map(\.0)).count == 1)
        #expect(ids.filter(\.1).count == 1)
        #expect(try await fixture.engine.list(pageSize: 10, before: nil).jobs.count == 1)
    }

    @Test func aKeyOfAnotherJobIsRefused() async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("k")
        let error = await #expect(throws: StoreError.self) {
            try await fixture.submit("k", model: "other.gguf")
        }
        #expect(error?.code == .alreadyExists)
        #expect(error?.message.contains(first) == true)
    }

    @Test func eventsHaveNoGapsAndSurviveAReopening() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease, steps: 1...5)
        _ = try await fixture.heartbeat(lease, steps: 6...9)
        #expect(try await fixture.complete(lease))
        let events = try await fixture.events(id)
        #expect(events.map(\.seq) == Array(1...UInt64(events.count)))
        let states = events.filter { $0.type == .state }.map(\.state)
        #expect(states == ["BLOCKED", "QUEUED", "STARTING", "RUNNING", "SUCCEEDED"])

        let reopened = try fixture.reopened()
        let replayed = try await reopened.events(id, after: 0, limit: 1000)
        #expect(replayed.events == events && replayed.isOver)
        let rest = try await reopened.events(id, after: 7, limit: 1000)
        #expect(rest.events == Array(events.dropFirst(7)))
        #expect(try await reopened.detail(id).outputs.map(\.name) == ["model/model.safetensors"])
        try reopened.store.close()
    }

    /// A quota holds to the job, however many calls come at the same instant.
    @Test func aQuotaOfWaitingJobsHoldsUnderLoad() async throws {
        let fixture = try StoreFixture()
        let submissions = try (0..<64).map { try fixture.submission("k\($0)") }
        let quota = AccessPolicy.Quota(queued: 5)
        let created = await withTaskGroup(of: Bool.self) { group in
            for submission in submissions {
                group.addTask {
                    do {
                        return try await fixture.engine.submit(submission, quota: quota).isCreated
                    } catch {
                        return false
                    }
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(created == 5)
        #expect(try await fixture.engine.list(pageSize: 100, before: nil).jobs.count == 5)
    }

    /// Commits that wait together share a transaction; one that fails takes only itself back.
    @Test func commitsThatMeetSucceedAndFailAlone() async throws {
        let fixture = try StoreFixture()
        let id = try await fixture.submit("k")
        let store = fixture.engine.store
        let outcomes = try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for index in 0..<300 {
                group.addTask {
                    var batch = JobBatch()
                    batch.events = [
                        JobEvent(jobID: id, seq: UInt64(100 + index), type: .log, message: "m")
                    ]
                    switch index % 3 {
                    case 0: break
                    case 1: batch.conditions = [(id, .running)]
                    // The event's number is taken twice: an error of the database.
                    default: batch.events += batch.events
                    }
                    do {
                        return (index, "\(try await store.commit(batch))")
                    } catch {
                        return (index, "error")
                    }
                }
            }
            return try await group.reduce(into: [Int: String]()) { $0[$1.0] = $1.1 }
        }
        let expected = ["committed", "conflict", "error"]
        for index in 0..<300 {
            let outcome = outcomes[index] ?? "none"
            #expect(outcome == expected[index % 3])
        }
        let kept = try await store.events(of: id, after: 99, limit: 1_000).events.map(\.seq)
        let numbers = stride(from: UInt64(100), to: 400, by: 3)
        #expect(kept == Array(numbers))
    }

    @Test func aJobThatChangedInBetweenIsNotOverwritten() async throws {
        let fixture = try StoreFixture()
        let id = try await fixture.submit("k")
        let stored = try await fixture.engine.store.job(id)
        let decision = fixture.engine.decide(.cancelled(now: false, by: "ada"), stored.job)
        var batch = JobBatch()
        batch.tell(decision)
        batch.changes = [JobBatch.Change(job: decision.job)]
        #expect(try await fixture.engine.store.commit(batch) == .committed)
        let count = try await fixture.events(id).count
        // The same row again: somebody was faster.
        #expect(try await fixture.engine.store.commit(batch) == .conflict)
        #expect(try await fixture.events(id).count == count)
        // A condition that does not hold holds the whole batch back.
        var other = JobBatch()
        other.conditions = [(id, .queued)]
        other.events = [JobEvent(jobID: id, seq: 99, type: .log, message: "never")]
        #expect(try await fixture.engine.store.commit(other) == .conflict)
        #expect(try await fixture.events(id).count == count)
    }

    @Test func jobsWaitForTheOutputsTheyName() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        let first = try await fixture.submit("a", kind: "quantize")
        let second = try await fixture.submit("b", kind: "quantize", model: "job:\(first)")
        #expect(try await fixture.state(second) == "BLOCKED")
        #expect(
            try await fixture.engine.detail(second).summary.waitReason.contains("job:\(first)")
        )
        let lease = try #require(try await fixture.acquire(role: .quant))
        #expect(lease.jobID == first)
        _ = try await fixture.heartbeat(lease)
        #expect(try await fixture.complete(lease))
        let next = try #require(try await fixture.acquire(role: .quant))
        #expect(next.jobID == second)
        #expect(next.inputs.flatMap(\.files).map(\.path) == ["model/model.safetensors"])
    }

    @Test func jobsFailWithTheJobTheyNeed() async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("a", kind: "quantize")
        let second = try await fixture.submit("b", kind: "quantize", model: "job:\(first)")
        let third = try await fixture.submit("c", kind: "quantize", model: "job:\(second)")
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        let lease = try #require(try await fixture.acquire(role: .quant))
        _ = try await fixture.heartbeat(lease)
        #expect(try await fixture.complete(lease, .failed, reason: "USER_ERROR"))
        for id in [second, third] {
            let summary = try await fixture.engine.detail(id).summary
            #expect(summary.state == "FAILED" && summary.reason == "ARTIFACT_MISSING")
        }
        let unknown = await #expect(throws: StoreError.self) {
            try await fixture.submit("d", kind: "quantize", model: "job:nobody")
        }
        #expect(unknown?.code == .notFound)
    }

    @Test func cancellingEndsAWaitingJobAndAsksARunningOne() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let waiting = try await fixture.submit("a")
        try await fixture.engine.cancel(waiting, now: false, by: "ada")
        #expect(try await fixture.state(waiting) == "CANCELLED")

        let running = try await fixture.submit("b")
        let lease = try #require(try await fixture.acquire())
        #expect(try await fixture.heartbeat(lease) == .continue)
        try await fixture.engine.cancel(running, now: false, by: "ada")
        #expect(try await fixture.heartbeat(lease) == .cancel)
        try await fixture.engine.cancel(running, now: true, by: "ada")
        #expect(try await fixture.heartbeat(lease) == .cancelNow)
        #expect(try await fixture.complete(lease, .cancelled))
        #expect(try await fixture.state(running) == "CANCELLED")

        try await fixture.engine.retry(running, by: "ada")
        #expect(try await fixture.state(running) == "QUEUED")
        let again = try #require(try await fixture.acquire())
        #expect(again.jobID == running && again.attempt == 2)
        #expect(try await fixture.heartbeat(again) == .continue)
    }

    @Test func waitReasonsSayWhatIsMissing() async throws {
        let fixture = try StoreFixture()
        let id = try await fixture.submit("a")
        func reason() async throws -> String {
            try await fixture.engine.detail(id).summary.waitReason
        }
        #expect(try await reason() == "no worker for train jobs is registered")
        try await fixture.register()
        #expect(try await reason() == "waits for train-1 to become free")
        fixture.advance(seconds: 120)
        #expect(try await reason() == "no worker for train jobs answers; known: train-1")
    }
}
