internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

struct DependencyTests {
    /// Jobs in a row, each waiting for the one before, put in behind the limits: what an older
    /// version took.
    private func chain(_ count: Int, in fixture: StoreFixture) async throws -> [String] {
        let first = try await fixture.submit("0", kind: "quantize")
        var ids = [first]
        var batch = JobBatch()
        for index in 1..<count {
            let submission = try fixture.submission(
                "\(index)",
                kind: "quantize",
                model: "job:\(ids[index - 1])"
            )
            let id = "chained-\(index)"
            ids.append(id)
            batch.insertions.append(
                JobBatch.Insertion(
                    owner: submission.owner,
                    key: submission.key,
                    digest: submission.digest,
                    name: submission.name,
                    spec: submission.spec,
                    resources: submission.resources,
                    depth: index + 1,
                    job: Job(id: id, kind: .quantize, created: fixture.engine.now.unix),
                    inputs: submission.inputs
                )
            )
        }
        #expect(try await fixture.engine.store.commit(batch) == .committed)
        return ids
    }

    /// Seen to overflow the stack at every restart.
    @Test func aFailureAtTheHeadOfSixThousandJobsEndsThemAll() async throws {
        let fixture = try StoreFixture()
        let ids = try await chain(6_000, in: fixture)
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        let lease = try #require(try await fixture.acquire(role: .quant))
        #expect(try await fixture.complete(lease, .failed, reason: "USER_ERROR"))
        let left = try await fixture.engine.store.jobs(in: [.blocked], after: 0, limit: 10).jobs
        #expect(left.isEmpty)
        let last = try await fixture.engine.store.job(try #require(ids.last)).job
        #expect(last.state == .failed && last.reason == .artifactMissing)
    }

    /// The gateway died between the failure and what follows from it.
    @Test func aRestartSettlesWhatWasLeft() async throws {
        let fixture = try StoreFixture()
        let ids = try await chain(1_000, in: fixture)
        try await fixture.execute("UPDATE job SET state = 'FAILED' WHERE id = '\(ids[0])'")
        let engine = try fixture.reopened()
        try await engine.start()
        #expect(try await engine.store.jobs(in: [.blocked], after: 0, limit: 10).jobs.isEmpty)
        #expect(try await engine.store.job(ids[999]).job.state == .failed)
        try engine.store.close()
    }

    @Test func cancellingAWaitingJobEndsThoseThatWaitForIt() async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("a", kind: "quantize")
        let second = try await fixture.submit("b", kind: "quantize", model: "job:\(first)")
        let third = try await fixture.submit("c", kind: "quantize", model: "job:\(second)")
        try await fixture.engine.cancel(first, now: false, by: "ada")
        for id in [second, third] {
            let summary = try await fixture.engine.detail(id).summary
            #expect(summary.state == "FAILED" && summary.reason == "ARTIFACT_MISSING")
        }
        // Retried from the head, each waits again, and the row can succeed.
        for id in [first, second, third] {
            try await fixture.engine.retry(id, by: "ada")
        }
        #expect(try await fixture.state(first) == "QUEUED")
        #expect(try await fixture.state(third) == "BLOCKED")
    }

    @Test func aRowThatIsTooLongIsRefused() async throws {
        var limits = JobLimits()
        limits.chainDepth = 3
        let fixture = try StoreFixture(limits: limits)
        var last = try await fixture.submit("0", kind: "quantize")
        for index in 1..<3 {
            last = try await fixture.submit("\(index)", kind: "quantize", model: "job:\(last)")
        }
        let tail = last
        let error = await #expect(throws: StoreError.self) {
            try await fixture.submit("3", kind: "quantize", model: "job:\(tail)")
        }
        #expect(error?.code == .invalidArgument && error?.message.contains("limit is 3") == true)
    }

    /// Seen: after 64 generations nobody could build on a model any more: those that had ended counted.
    @Test func generationsThatEndedAreNoRow() async throws {
        var limits = JobLimits()
        limits.chainDepth = 3
        let fixture = try StoreFixture(limits: limits)
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        var last = try await fixture.submit("0", kind: "quantize")
        for index in 1...9 {
            let lease = try #require(try await fixture.acquire(role: .quant))
            #expect(lease.jobID == last)
            #expect(try await fixture.complete(lease))
            last = try await fixture.submit("\(index)", kind: "quantize", model: "job:\(last)")
        }
    }

    /// Seen: the 65th job after the one that ran was refused, though 63 of those before it had succeeded.
    @Test func aRowOfOneIsNoRowHoweverManyWereInItBefore() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        var running = try await fixture.submit("0")
        for index in 1...70 {
            let lease = try #require(try await fixture.acquire())
            #expect(lease.jobID == running)
            var next = try fixture.submission("\(index)")
            next.after = [running]
            running = try await fixture.engine.submit(next).id
            #expect(try await fixture.complete(lease))
        }
    }

    /// The limit holds where they do wait, on whatever way they hang together.
    @Test func aRowIsAsLongAsItsLongestWay() async throws {
        var limits = JobLimits()
        limits.chainDepth = 4
        let fixture = try StoreFixture(limits: limits)
        func add(_ key: String, _ after: [String]) async throws -> String {
            var submission = try fixture.submission(key)
            submission.after = after
            return try await fixture.engine.submit(submission).id
        }
        let first = try await add("1", [])
        let second = try await add("2", [first])
        let third = try await add("3", [first, second])
        let fourth = try await add("4", [second, third, first])
        let error = await #expect(throws: StoreError.self) { try await add("5", [fourth, first]) }
        #expect(error?.message.contains("would be the 5th in a row") == true)
        // The first has ended: those after it have moved up.
        try await fixture.register()
        let lease = try #require(try await fixture.acquire())
        #expect(try await fixture.complete(lease))
        _ = try await add("5", [fourth, first])
    }

    /// What can never start is not taken, whatever it needs of the job that ended.
    @Test(arguments: ["FAILED", "CANCELLED"])
    func anOutputOfAJobThatDidNotEndWellIsRefused(state: String) async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("1", kind: "quantize")
        let waiting = try await fixture.submit("w", kind: "quantize", model: "job:\(first)")
        if state == "FAILED" {
            try await fixture.register(offer: Offer(kinds: [.quantize]))
            let lease = try #require(try await fixture.acquire(role: .quant))
            #expect(try await fixture.complete(lease, .failed, reason: "USER_ERROR"))
        } else {
            try await fixture.engine.cancel(first, now: false, by: "ada")
        }
        let error = await #expect(throws: StoreError.self) {
            try await fixture.submit("2", kind: "quantize", model: "job:\(first)")
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("qat-client retry \(first)") == true)
        // One that was taken before is found under its key all the same.
        #expect(try await fixture.submit("w", kind: "quantize", model: "job:\(first)") == waiting)
        try await fixture.engine.retry(first, by: "ada")
        let second = try await fixture.submit("2", kind: "quantize", model: "job:\(first)")
        #expect(try await fixture.state(second) == "BLOCKED")
    }

    /// Many jobs that wait for one: each is queued when it ends, however many there are.
    @Test func aThousandDependentsOfOneJobAreAllQueued() async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("0", kind: "quantize")
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        var batch = JobBatch()
        for index in 1...1_000 {
            let submission = try fixture.submission(
                "\(index)",
                kind: "quantize",
                model: "job:\(first)"
            )
            batch.insertions.append(
                JobBatch.Insertion(
                    owner: "ada",
                    key: submission.key,
                    digest: submission.digest,
                    name: "",
                    spec: submission.spec,
                    resources: submission.resources,
                    depth: 2,
                    job: Job(id: "d\(index)", kind: .quantize, created: 0),
                    inputs: submission.inputs
                )
            )
        }
        #expect(try await fixture.engine.store.commit(batch) == .committed)
        let lease = try #require(try await fixture.acquire(role: .quant))
        #expect(try await fixture.complete(lease))
        #expect(
            try await fixture.engine.store.jobs(in: [.blocked], after: 0, limit: 9).jobs.isEmpty
        )
        let next = try #require(try await fixture.acquire(role: .quant))
        #expect(next.jobID == "d1")
        #expect(next.inputs.first?.files.map(\.path) == ["model/model.safetensors"])
    }

    /// Seen: a job said that it waits for the outputs of one that had succeeded.
    @Test func aBlockedJobNamesOnlyWhatIsNotThereYet() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let first = try await fixture.submit("first")
        let second = try await fixture.submit("second")
        var submission = try fixture.submission("waits", model: "job:\(first)")
        submission.after = [first, second]
        let id = try await fixture.engine.submit(submission).id
        func why() async throws -> String { try await fixture.engine.detail(id).summary.waitReason }
        let both = try await why()
        #expect(both.contains("the outputs of job:\(first)"))
        #expect(both.contains("the end of \([first, second].sorted().joined(separator: ", "))"))
        let lease = try #require(try await fixture.acquire())
        #expect(lease.jobID == first)
        #expect(try await fixture.complete(lease))
        #expect(try await why() == "waits for the end of \(second)")
    }

    /// Seen: a job was to wait for the worker that had just been stopped to become free.
    @Test func aWorkerThatHasLeftIsNoneToWaitFor() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        func why() async throws -> String { try await fixture.engine.detail(id).summary.waitReason }
        #expect(try await why() == "waits for train-1 to become free")
        // It has no connection, and no time to make one any more.
        fixture.advance(seconds: 11)
        #expect(try await why() == "no worker for train jobs answers; known: train-1")
    }

    /// Seen: "waits for the end of …: retried by local", as if that were why.
    @Test func aRetriedJobSaysWhatItWaitsForAndNothingElse() async throws {
        let fixture = try StoreFixture()
        let source = try await fixture.submit("source")
        var submission = try fixture.submission("waits")
        submission.after = [source]
        let id = try await fixture.engine.submit(submission).id
        let before = try await fixture.engine.detail(id).summary
        try await fixture.engine.cancel(id, now: true, by: "ada")
        try await fixture.engine.retry(id, by: "ada")
        let after = try await fixture.engine.detail(id).summary
        #expect(after.state == "BLOCKED" && after.waitReason == before.waitReason)
        #expect(after.reason.isEmpty && after.reasonMessage.isEmpty)
        // Who did it is in the history.
        #expect(try await fixture.events(id).contains { $0.message == "retried by ada" })
    }
}
