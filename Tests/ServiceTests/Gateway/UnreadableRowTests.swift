internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import Gateway

/// Damage to one row is told of, and stops nobody else.
struct UnreadableRowTests {
    private func submit(_ fixture: StoreFixture, _ key: String, after: [String] = []) async throws
        -> String
    {
        var submission = try fixture.submission(key)
        submission.after = after
        return try await fixture.engine.submit(submission).id
    }

    /// Jobs that are put in behind the engine's back, `prefix` and a number from 1.
    private func insert(
        _ count: Int,
        _ prefix: String,
        in fixture: StoreFixture,
        after: [String] = [],
        _ configure: (inout Job) -> Void = { _ in }
    ) async throws {
        let usual = try fixture.submission("usual")
        var batch = JobBatch()
        for index in 1...count {
            var job = Job(
                id: "\(prefix)\(index)",
                kind: .train,
                created: fixture.engine.now.unix
            )
            configure(&job)
            batch.insertions.append(
                JobBatch.Insertion(
                    owner: "ada",
                    key: job.id,
                    digest: usual.digest,
                    name: "",
                    spec: usual.spec,
                    resources: usual.resources,
                    depth: 1,
                    job: job,
                    inputs: usual.inputs,
                    after: after
                )
            )
        }
        #expect(try await fixture.engine.store.commit(batch) == .committed)
    }

    /// Seen: the gateway ended at every start, until somebody edited its database.
    @Test func theGatewayStartsAlthoughAJobWaitsForOne() async throws {
        let fixture = try StoreFixture()
        let damaged = try await submit(fixture, "a")
        let waiting = try await submit(fixture, "b", after: [damaged])
        let sound = try await submit(fixture, "c")
        let follower = try await submit(fixture, "d", after: [sound])
        // The gateway died between the end of one and what follows from it.
        try await fixture.execute("UPDATE job SET state = 'BOGUS' WHERE id = '\(damaged)'")
        try await fixture.execute("UPDATE job SET state = 'CANCELLED' WHERE id = '\(sound)'")
        let engine = try fixture.reopened()
        try await engine.start()
        #expect(try await engine.store.job(waiting).job.state == .blocked)
        #expect(try await engine.store.job(follower).job.state == .failed)
        let remarks = fixture.remarks
        #expect(remarks.count == 1)
        #expect(remarks.first?.contains(damaged) == true)
        #expect(remarks.first?.contains("state is BOGUS") == true)
        try engine.store.close()
    }

    /// Seen: what had nothing to do with the damaged row stayed BLOCKED, too.
    @Test func itKeepsNobodyElseFromBeingSettledAndCanBeRemoved() async throws {
        let fixture = try StoreFixture()
        let damaged = try await submit(fixture, "a")
        let ends = try await submit(fixture, "d")
        let follows = try await submit(fixture, "e", after: [ends])
        let both = try await submit(fixture, "f", after: [damaged, ends])
        let waits = try await submit(fixture, "g", after: [damaged])
        try await fixture.execute("UPDATE job SET kind = 'bogus' WHERE id = '\(damaged)'")
        try await fixture.engine.cancel(ends, now: true, by: "ada")
        #expect(try await fixture.state(follows) == "FAILED")
        #expect(try await fixture.state(both) == "FAILED")
        #expect(try await fixture.state(waits) == "BLOCKED")
        try await fixture.engine.settleLeftovers()
        // Nobody can do more with it, so it goes although a job waits for it, and that one learns it.
        _ = try await fixture.engine.remove(damaged)
        let job = try await fixture.engine.store.job(waits).job
        #expect(job.state == .failed && job.reason == .dependencyFailed)
        #expect(job.message.contains("was removed"))
        let listed = try await fixture.engine.list(pageSize: 9, before: nil).jobs
        #expect(!listed.map(\.jobID).contains(damaged))
    }

    @Test func itsOwnerRemovesItAndNobodyElse() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let id = try await gateway.submit(ada)
            try await gateway.jobs.execute("UPDATE job SET state = 'BOGUS' WHERE id = '\(id)'")
            let request = RemoveJobRequest(jobID: id)
            #expect(
                await code { _ = try await eve.call(QatMethods.removeJob, request) } == .notFound
            )
            _ = try await ada.call(QatMethods.removeJob, request)
            let page = try await ada.call(QatMethods.listJobs, ListJobsRequest())
            #expect(page.jobs.isEmpty)
        }
    }

    /// Seen: of 300 jobs, one of them damaged, 45 outlived their deadline.
    @Test(arguments: [1, 256, 300])
    func deadlinesBehindItCount(damaged: Int) async throws {
        let fixture = try StoreFixture()
        let deadline = fixture.engine.now.unix + 25_000
        try await insert(600, "j", in: fixture) {
            $0.state = .queued
            $0.deadline = deadline
        }
        try await fixture.execute("UPDATE job SET kind = 'bogus' WHERE number <= \(damaged)")
        let engine = try fixture.reopened()
        try await engine.start()
        fixture.advance(seconds: 25)
        #expect(try await engine.endOverdue().count == 600 - damaged)
        #expect(try await engine.store.jobs(in: [.queued], after: 0, limit: 1_000).jobs.isEmpty)
        try engine.store.close()
    }

    /// Seen: of 300 dependents, one of them damaged, 44 stayed BLOCKED.
    @Test(arguments: [1, 300])
    func dependentsBehindItAreQueued(damaged: Int) async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let source = try await submit(fixture, "source")
        try await insert(600, "d", in: fixture, after: [source])
        try await fixture.execute(
            "UPDATE job SET kind = 'bogus' WHERE number > 1 AND number <= \(damaged + 1)"
        )
        let lease = try #require(try await fixture.acquire())
        #expect(try await fixture.complete(lease))
        let queued = try await fixture.engine.store.jobs(in: [.queued], after: 0, limit: 1_000)
        #expect(queued.jobs.count == 600 - damaged)
        // However many of them stand before it, the next is handed out.
        #expect(try await fixture.acquire()?.jobID == "d\(damaged + 1)")
    }

    @Test func leasesBehindItAreRenewed() async throws {
        let fixture = try StoreFixture()
        try await insert(300, "r", in: fixture) {
            $0.state = .running
            $0.epoch = 1
            $0.holder = StoreFixture.holder("train-1", boot: "b1")
        }
        try await fixture.execute("UPDATE job SET kind = 'bogus' WHERE number <= 256")
        let engine = try fixture.reopened()
        try await engine.start()
        fixture.advance(seconds: 29)
        #expect(try await engine.recoverExpired().isEmpty)
        fixture.advance(seconds: 2)
        #expect(try await engine.recoverExpired().count == 44)
        try engine.store.close()
    }

    /// A pipeline with a job that cannot be read did not succeed.
    @Test func aPipelineWithOneIsNotSucceeded() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.engine.submit(try fixture.pipeline("p")).id
        for _ in ["a", "b"] {
            let lease = try #require(try await fixture.acquire())
            #expect(try await fixture.complete(lease))
        }
        #expect(try await fixture.engine.pipeline(id).summary.state == "SUCCEEDED")
        try await fixture.execute("UPDATE job SET state = 'BOGUS' WHERE part = 'a'")
        let pipeline = try await fixture.engine.pipeline(id)
        #expect(pipeline.summary.state == "FAILED" && pipeline.summary.jobs == 2)
        #expect(pipeline.jobs.map(\.state).sorted() == ["FAILED", "SUCCEEDED"])
        _ = try await fixture.engine.removePipeline(id)
        #expect(try await fixture.engine.list(pageSize: 9, before: nil).jobs.isEmpty)
    }

    /// Seen: `watch` of the job ended with a sentence that named neither job nor event.
    @Test func anEventThatCannotBeReadIsALineThatSaysSo() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await submit(fixture, "k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease, steps: 1...3)
        #expect(try await fixture.complete(lease))
        let whole = try await fixture.events(id)
        let damaged = try #require(whole.first { $0.type == .progress })
        try await fixture.execute(
            "UPDATE event SET body = x'ffffffff' WHERE job = '\(id)' AND seq = \(damaged.seq)"
        )
        let engine = try fixture.reopened()
        let (events, isOver) = try await engine.events(id, after: 0, limit: 100)
        #expect(events.map(\.seq) == whole.map(\.seq) && isOver)
        let line = try #require(events.first { $0.seq == damaged.seq })
        #expect(line.type == .log)
        for message in [line.message] + fixture.remarks {
            #expect(message.contains("event \(damaged.seq) of job \(id) cannot be read"))
        }
        #expect(fixture.remarks.count == 1)
        _ = try await engine.remove(id)
        try engine.store.close()
    }

    /// Three in a row, each after the one before.
    private func chain(_ fixture: StoreFixture) throws -> JobEngine.PipelineSubmission {
        let after = ["a": [], "b": ["a"], "c": ["b"]]
        return JobEngine.PipelineSubmission(
            owner: "ada",
            key: "p",
            digest: .of("p"),
            name: "p",
            parts: try ["a", "b", "c"].map { name in
                var job = try fixture.submission("")
                job.after = after[name] ?? []
                return JobEngine.PipelineSubmission.Part(
                    name: name,
                    job: job,
                    outputs: ["model"]
                )
            }
        )
    }

    /// Seen: the pipeline was refused for its own job, and that job for being of a pipeline, for good.
    @Test(arguments: [["a"], ["b"], ["c"], ["a", "c"], ["b", "c"]])
    func aPipelineGoesWithItsOwn(damaged: [String]) async throws {
        let fixture = try StoreFixture()
        let id = try await fixture.engine.submit(try chain(fixture)).id
        for part in damaged {
            try await fixture.execute("UPDATE job SET kind = 'bogus' WHERE part = '\(part)'")
        }
        try await fixture.engine.cancelPipeline(id, now: true, by: "ada")
        let removed = try await fixture.engine.removePipeline(id)
        #expect(removed.jobs.count == 3)
        #expect(try await fixture.engine.list(pageSize: 9, before: nil).jobs.isEmpty)
    }

    /// One that is not of it keeps it, and is named.
    @Test func aPipelineStaysForAnotherOneThatCannotBeRead() async throws {
        let fixture = try StoreFixture()
        let id = try await fixture.engine.submit(try chain(fixture)).id
        let last = try #require(
            try await fixture.engine.pipeline(id).jobs.first { $0.part == "c" }
        )
        let other = try await submit(fixture, "other", after: [last.jobID])
        try await fixture.execute(
            "UPDATE job SET kind = 'bogus' WHERE part = 'b' OR id = '\(other)'"
        )
        try await fixture.engine.cancelPipeline(id, now: true, by: "ada")
        let refusal = await #expect(throws: StoreError.self) {
            _ = try await fixture.engine.removePipeline(id)
        }
        #expect(refusal?.code == .invalidState && refusal?.message.contains(other) == true)
        _ = try await fixture.engine.remove(other)
        _ = try await fixture.engine.removePipeline(id)
        #expect(try await fixture.engine.list(pageSize: 9, before: nil).jobs.isEmpty)
    }

    // MARK: Rows that are put right again

    /// Seen: RUNNING for good, on a worker that had long done something else.
    @Test func aLeaseOfOneThatIsPutRightEnds() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await submit(fixture, "k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease)
        try await fixture.execute("UPDATE job SET kind = 'bogus'")
        #expect(try await fixture.heartbeat(lease) == .lost)
        fixture.advance(seconds: 31)
        #expect(try await fixture.engine.recoverExpired().isEmpty)
        try await fixture.execute("UPDATE job SET kind = 'train'")
        try await sweep(fixture.engine)
        // Whoever has it gets a whole duration to be heard.
        fixture.advance(seconds: 29)
        #expect(try await fixture.engine.recoverExpired().isEmpty)
        fixture.advance(seconds: 2)
        #expect(try await fixture.engine.recoverExpired() == [id])
        #expect(try await fixture.state(id) == "QUEUED")
    }

    @Test func oneThatLivesIsNotTouched() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await submit(fixture, "k")
        let lease = try #require(try await fixture.acquire())
        _ = try await fixture.heartbeat(lease)
        fixture.advance(seconds: 29)
        // A lease that is counted is not extended by being looked at.
        try await sweep(fixture.engine)
        fixture.advance(seconds: 2)
        #expect(try await fixture.engine.recoverExpired() == [id])
    }

    @Test func aDeadlineOfOneThatIsPutRightCounts() async throws {
        let fixture = try StoreFixture()
        var submission = try fixture.submission("k")
        submission.deadline = fixture.engine.now.unix + 60_000
        let id = try await fixture.engine.submit(submission).id
        try await fixture.execute("UPDATE job SET kind = 'bogus'")
        fixture.advance(seconds: 61)
        #expect(try await fixture.engine.endOverdue().isEmpty)
        try await fixture.execute("UPDATE job SET kind = 'train'")
        try await sweep(fixture.engine)
        let job = try await fixture.engine.store.job(id).job
        #expect(job.state == .failed && job.reason == .deadline)
    }

    /// Of a job that waits, and of the one that it waits for.
    @Test(arguments: [true, false])
    func whatOneThatIsPutRightWaitedForCounts(isWaiting: Bool) async throws {
        let fixture = try StoreFixture()
        let source = try await submit(fixture, "source")
        let waits = try await submit(fixture, "waits", after: [source])
        let damaged = isWaiting ? waits : source
        try await fixture.execute("UPDATE job SET kind = 'bogus' WHERE id = '\(damaged)'")
        if isWaiting {
            try await fixture.engine.cancel(source, now: true, by: "ada")
        } else {
            try await fixture.execute("UPDATE job SET state = 'CANCELLED' WHERE id = '\(source)'")
        }
        try await sweep(fixture.engine)
        try await fixture.execute("UPDATE job SET kind = 'train'")
        #expect(try await fixture.state(waits) == "BLOCKED")
        try await sweep(fixture.engine)
        #expect(try await fixture.state(waits) == "FAILED")
    }

    /// What the gateway does within some minutes, without its clock.
    private func sweep(_ engine: JobEngine) async throws {
        let rounds = Mutex(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (ended, end) = AsyncStream<Void>.makeStream()
            let sweeper = LeaseSweeper(
                engine: engine,
                policies: PolicyFile(AccessPolicy()),
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
                wait: {
                    let round = rounds.withLock { rounds in
                        rounds += 1
                        return rounds
                    }
                    // The wait after round 300 ends it.
                    if round > 301 { end.finish() }
                    return .zero
                }
            )
            group.addTask { try await sweeper.run() }
            for await _ in ended {}
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
