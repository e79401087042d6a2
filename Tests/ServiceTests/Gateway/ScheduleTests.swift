internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// When jobs run: priorities, deadlines, jobs after jobs, and jobs that need not run.
struct ScheduleTests {
    private func submit(
        _ fixture: StoreFixture,
        _ key: String,
        kind: String = "train",
        model: String = "m.gguf",
        _ change: (inout JobEngine.Submission) throws -> Void
    ) async throws -> String {
        var submission = try fixture.submission(key, kind: kind, model: model)
        try change(&submission)
        return try await fixture.engine.submit(submission).id
    }

    // MARK: Priorities

    /// docs/JOBS.md: ten minutes of waiting weigh as much as a point of priority.
    @Test func theQueueGoesByPriorityAndWaiting() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let old = try await fixture.submit("old")
        let low = try await submit(fixture, "low") { $0.priority = .low }
        fixture.advance(seconds: 499 * 60)
        let high = try await submit(fixture, "high") { $0.priority = .high }
        fixture.advance(seconds: 2 * 60)
        let late = try await submit(fixture, "late") { $0.priority = .high }
        let normal = try await fixture.submit("normal")
        var taken: [String] = []
        while let lease = try await fixture.acquire() { taken.append(lease.jobID) }
        // 499 minutes are less than 50 points, 501 are more; 501 minutes make low a normal one.
        #expect(taken == [high, old, late, low, normal])
    }

    // MARK: After

    @Test func aJobStartsOnlyAfterThoseItWaitsFor() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let first = try await fixture.submit("first")
        let second = try await submit(fixture, "second") { $0.after = [first] }
        let summary = try await fixture.engine.detail(second).summary
        #expect(summary.state == "BLOCKED" && summary.after == [first])
        #expect(summary.waitReason == "waits for the end of \(first)")
        let lease = try #require(try await fixture.acquire())
        #expect(lease.jobID == first)
        #expect(try await fixture.acquire() == nil)
        #expect(try await fixture.complete(lease))
        let next = try #require(try await fixture.acquire())
        // What it starts after is none of its inputs.
        #expect(next.jobID == second && next.inputs.map(\.pointer) == ["/model"])
    }

    @Test(arguments: ["FAILED", "CANCELLED"])
    func aJobFailsIfWhatItWaitsForDidNotEndWell(state: String) async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let first = try await fixture.submit("first")
        let second = try await submit(fixture, "second") { $0.after = [first] }
        let third = try await submit(fixture, "third") { $0.after = [second] }
        if state == "FAILED" {
            let lease = try #require(try await fixture.acquire())
            #expect(try await fixture.complete(lease, .failed, reason: "USER_ERROR"))
        } else {
            try await fixture.engine.cancel(first, now: false, by: "ada")
        }
        for (id, source, end) in [(second, first, state), (third, second, "FAILED")] {
            let summary = try await fixture.engine.detail(id).summary
            #expect(summary.state == "FAILED" && summary.reason == "DEPENDENCY_FAILED")
            #expect(
                summary.reasonMessage == "job \(source), after which this was to start, is \(end)"
            )
        }
        // One that is submitted afterwards is refused, with what helps; so is one whose predecessor is unknown.
        let late = await #expect(throws: StoreError.self) {
            try await submit(fixture, "late") { $0.after = [first] }
        }
        #expect(late?.message.contains("is \(state); retry that one first") == true)
        try await fixture.engine.retry(first, by: "ada")
        let early = try await submit(fixture, "late") { $0.after = [first] }
        #expect(try await fixture.state(early) == "BLOCKED")
        let error = await #expect(throws: StoreError.self) {
            try await submit(fixture, "x") { $0.after = ["ffffffffffffffff"] }
        }
        #expect(error?.code == .notFound)
    }

    /// What a job waits for stays, though it is over and no input.
    @Test func nothingIsRemovedThatAJobIsToStartAfter() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let first = try await fixture.submit("first")
        let second = try await fixture.submit("second")
        let last = try await submit(fixture, "last") { $0.after = [first, second] }
        let lease = try #require(try await fixture.acquire())
        #expect(lease.jobID == first)
        #expect(try await fixture.complete(lease))
        let error = await #expect(throws: StoreError.self) {
            try await fixture.engine.remove(first)
        }
        #expect(error?.code == .invalidState && error?.message.contains(last) == true)
        try await fixture.engine.cancel(last, now: true, by: "ada")
        _ = try await fixture.engine.remove(first)
    }

    @Test func rowsOfJobsAfterJobsAreCountedWithThoseOfInputs() async throws {
        var limits = JobLimits()
        limits.chainDepth = 3
        limits.predecessors = 2
        let fixture = try StoreFixture(limits: limits)
        let first = try await fixture.submit("1", kind: "quantize")
        let second = try await submit(fixture, "2") { $0.after = [first] }
        let third = try await submit(
            fixture,
            "3",
            kind: "quantize",
            model: "job:\(second)"
        ) { _ in }
        let error = await #expect(throws: StoreError.self) {
            try await submit(fixture, "4") { $0.after = [third] }
        }
        #expect(error?.message.contains("limit is 3") == true)
        let many = await #expect(throws: StoreError.self) {
            try await submit(fixture, "5") { $0.after = [first, second, third] }
        }
        #expect(many?.message == "3 jobs to start after; the limit is 2")
    }

    /// Of a head with a thousand followers each is looked at, without recursion.
    @Test func sixThousandJobsAfterOneAnotherEndWithTheFirst() async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("0", kind: "quantize")
        let usual = try fixture.submission("0", kind: "quantize")
        var batch = JobBatch()
        var last = first
        for index in 1..<6_000 {
            let id = "after-\(index)"
            batch.insertions.append(
                JobBatch.Insertion(
                    owner: "ada",
                    key: id,
                    digest: usual.digest,
                    name: "",
                    spec: usual.spec,
                    resources: usual.resources,
                    depth: index + 1,
                    job: Job(id: id, kind: .quantize, created: 0),
                    inputs: usual.inputs,
                    after: [last]
                )
            )
            last = id
        }
        #expect(try await fixture.engine.store.commit(batch) == .committed)
        try await fixture.engine.cancel(first, now: true, by: "ada")
        #expect(
            try await fixture.engine.store.jobs(in: [.blocked], after: 0, limit: 9).jobs.isEmpty
        )
        #expect(try await fixture.engine.store.job(last).job.reason == .dependencyFailed)
    }

    @Test func aRetryTakesWhatEndedBecauseOfTheJobAlong() async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("a", kind: "quantize")
        let second = try await fixture.submit("b", kind: "quantize", model: "job:\(first)")
        let third = try await submit(fixture, "c") { $0.after = [second] }
        let other = try await fixture.submit("other")
        let both = try await submit(fixture, "d") { $0.after = [third, other] }
        try await fixture.engine.cancel(first, now: true, by: "ada")
        try await fixture.engine.cancel(other, now: true, by: "ada")
        try await fixture.engine.retry(first, by: "ada")
        #expect(try await fixture.state(second) == "FAILED")
        try await fixture.engine.cancel(first, now: true, by: "ada")
        try await fixture.engine.retry(first, by: "ada", withDependents: true)
        #expect(try await fixture.state(first) == "QUEUED")
        #expect(try await fixture.state(second) == "BLOCKED")
        #expect(try await fixture.state(third) == "BLOCKED")
        // What another failure holds back waits for that one's retry.
        #expect(try await fixture.state(both) == "FAILED")
        try await fixture.engine.retry(other, by: "ada", withDependents: true)
        #expect(try await fixture.state(both) == "BLOCKED")
    }

    // MARK: Deadlines

    @Test func jobsEndByTheirDeadline() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let start = fixture.engine.now.unix
        let runs = try await submit(fixture, "runs") { $0.deadline = start + 60_000 }
        let waits = try await submit(fixture, "waits") { $0.deadline = start + 60_000 }
        let follows = try await submit(fixture, "follows") { $0.after = [waits] }
        let lease = try #require(try await fixture.acquire())
        #expect(lease.jobID == runs)
        fixture.advance(seconds: 59)
        #expect(try await fixture.engine.endOverdue().isEmpty)
        #expect(try await fixture.heartbeat(lease, steps: 1...3) == .continue)
        fixture.advance(seconds: 1)
        #expect(try await fixture.engine.endOverdue().sorted() == [runs, waits].sorted())
        // Asked to stop as a user asks: with a checkpoint.
        #expect(try await fixture.heartbeat(lease) == .cancel)
        #expect(try await fixture.engine.detail(runs).summary.cancelRequested == false)
        #expect(try await fixture.complete(lease, .cancelled))
        for id in [runs, waits] {
            let summary = try await fixture.engine.detail(id).summary
            #expect(summary.state == "FAILED" && summary.reason == "DEADLINE")
            // Seen: `FAILED (cancel requested)`, though nobody asked.
            #expect(!summary.cancelRequested)
        }
        #expect(try await fixture.state(follows) == "FAILED")
        #expect(try await fixture.engine.endOverdue().isEmpty)
        // Retried, it has all the time there is.
        try await fixture.engine.retry(runs, by: "ada")
        fixture.advance(seconds: 3_600)
        #expect(try await fixture.engine.endOverdue().isEmpty)
        #expect(try await fixture.engine.detail(runs).summary.deadlineUnixMs == 0)
    }

    /// While the gateway is up the wall clock moves no deadline, wherever it jumps.
    @Test(arguments: [Int64(3_600), -3_600])
    func theWallClockMovesNoDeadline(jump: Int64) async throws {
        let fixture = try StoreFixture()
        let start = fixture.engine.now.unix
        let id = try await submit(fixture, "k") { $0.deadline = start + 60_000 }
        fixture.setWallClock(bySeconds: jump)
        fixture.advance(seconds: 59)
        #expect(try await fixture.engine.endOverdue().isEmpty)
        fixture.advance(seconds: 1)
        #expect(try await fixture.engine.endOverdue() == [id])
    }

    /// A start goes by the wall clock, but gives nobody more time than there was at first.
    @Test(arguments: [(Int64(0), Int64(60)), (30, 30), (7_200, 0), (-7_200, 60)])
    func deadlinesSurviveARestart(away: Int64, left: Int64) async throws {
        let fixture = try StoreFixture()
        let start = fixture.engine.now.unix
        let id = try await submit(fixture, "k") { $0.deadline = start + 60_000 }
        fixture.setWallClock(bySeconds: away)
        let engine = try fixture.reopened()
        try await engine.start()
        if left > 0 {
            fixture.advance(seconds: left - 1)
            #expect(try await engine.endOverdue().isEmpty)
            fixture.advance(seconds: 1)
        }
        #expect(try await engine.endOverdue() == [id])
        #expect(try await engine.store.job(id).job.reason == .deadline)
        try engine.store.close()
    }

    @Test func deadlinesThatCannotBeAreRefused() async throws {
        let fixture = try StoreFixture()
        let start = fixture.engine.now.unix
        for (deadline, word) in [(start, "passed"), (start + 11 * 366 * 86_400_000, "ten years")] {
            let error = await #expect(throws: StoreError.self) {
                try await submit(fixture, "k") { $0.deadline = deadline }
            }
            #expect(error?.code == .invalidArgument && error?.message.contains(word) == true)
        }
        // What was taken in time is found, however late it is asked for again.
        let id = try await submit(fixture, "k") { $0.deadline = start + 1_000 }
        fixture.advance(seconds: 5)
        #expect(try await submit(fixture, "k") { $0.deadline = start + 1_000 } == id)
    }

    // MARK: Reuse

    private func reusing(
        _ fixture: StoreFixture,
        _ key: String,
        model: String = "m.gguf",
        content: String = "c",
        isStored: Bool = true
    ) async throws -> JobSummary {
        let id = try await submit(fixture, key, kind: "quantize", model: model) {
            $0.content = .of(content)
            $0.reuse = JobEngine.Reuse(owner: "ada") { _ in isStored }
        }
        return try await fixture.engine.detail(id).summary
    }

    @Test func aFinishedJobStandsInForOneThatDoesTheSame() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        let first = try await reusing(fixture, "1")
        #expect(first.state == "QUEUED")
        // One that has not ended stands in for nobody.
        #expect(try await reusing(fixture, "2").state == "QUEUED")
        let lease = try #require(try await fixture.acquire(role: .quant))
        #expect(try await fixture.complete(lease))
        let again = try await reusing(fixture, "3")
        #expect(again.state == "SUCCEEDED" && again.reusedFrom == first.jobID)
        #expect(again.reasonMessage == "reused from job \(first.jobID)")
        let detail = try await fixture.engine.detail(again.jobID)
        #expect(detail.outputs.map(\.name) == ["model/model.safetensors"])
        #expect(detail.resultsJSON == Array("{}".utf8))
        #expect(
            try await fixture.events(again.jobID).map(\.state) == ["BLOCKED", "SUCCEEDED"]
        )
        // What is reused twice was made once.
        #expect(try await reusing(fixture, "4").reusedFrom == first.jobID)
        #expect(try await reusing(fixture, "5", content: "other").state == "QUEUED")
        #expect(try await reusing(fixture, "6", isStored: false).state == "QUEUED")
        // Jobs that take its outputs may run at once.
        let next = try await fixture.submit("7", kind: "quantize", model: "job:\(again.jobID)")
        #expect(try await fixture.state(next) == "QUEUED")
    }

    /// Seen: status named a job that nobody could look at.
    @Test func aJobThatWasReusedAndRemovedIsToldSo() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        let first = try await reusing(fixture, "1").jobID
        let lease = try #require(try await fixture.acquire(role: .quant))
        #expect(try await fixture.complete(lease))
        let again = try await reusing(fixture, "2")
        #expect(again.reusedFrom == first && !again.isReusedRemoved)
        _ = try await fixture.engine.remove(first)
        let detail = try await fixture.engine.detail(again.jobID).summary
        let listed = try await fixture.engine.list(pageSize: 9, before: nil).jobs
        #expect(listed.map(\.jobID) == [again.jobID])
        for summary in [detail] + listed {
            #expect(summary.reusedFrom == first && summary.isReusedRemoved)
        }
    }

    /// Seen: a job whose output was damaged stood in, and the damage came out at the download.
    @Test func aJobWhoseOutputIsDamagedStandsInForNobody() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let first = try await gateway.submit(ada, key: "1")
            let lease = try await gateway.lease(worker, "quant-1")
            try await gateway.put("out", worker)
            let done = CompleteLeaseRequest(
                jobID: first,
                epoch: lease.epoch,
                resultsJSON: Array("{}".utf8),
                outputs: [OutputFile(name: "model/model.safetensors", digest: .of("out"), size: 3)],
                bootID: "b1"
            )
            #expect(try await worker.call(QatMethods.completeLease, done).accepted)
            func again(_ key: String) async throws -> String {
                let file = InputFile(path: "m.gguf", digest: .of("m"), size: 1)
                var request = SubmitJobRequest(
                    kind: "quantize",
                    name: "n",
                    key: key,
                    specJSON: Array(
                        #"{"model": "m.gguf", "quantization": {"algorithm": "mxfp4"}}"#.utf8
                    ),
                    inputs: [Input(pointer: "/model", source: "m.gguf", files: [file])]
                )
                request.reuse = true
                return try await ada.call(QatMethods.submitJob, request).reusedFrom
            }
            #expect(try await again("2") == first)
            try Data([1, 2, 3])
                .write(to: URL(fileURLWithPath: gateway.artifacts.path(.of("out"))))
            #expect(try await again("3") == "")
            try await gateway.put("out", ada)
            #expect(try await again("4") == first)
        }
    }

    @Test func otherInputsAreAnotherJob() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        _ = try await reusing(fixture, "1")
        let lease = try #require(try await fixture.acquire(role: .quant))
        #expect(try await fixture.complete(lease))
        let id = try await submit(fixture, "2", kind: "quantize") {
            $0.content = .of("c")
            $0.reuse = JobEngine.Reuse(owner: "ada") { _ in true }
            $0.inputs[0].files = [InputFile(path: "m.gguf", digest: .of("other"), size: 1)]
        }
        #expect(try await fixture.state(id) == "QUEUED")
        let bob = try await submit(fixture, "3", kind: "quantize") {
            $0.content = .of("c")
            $0.reuse = JobEngine.Reuse(owner: "bob") { _ in true }
        }
        #expect(try await fixture.state(bob) == "QUEUED")
    }

    /// Names and where files lie do not matter; everything else does.
    @Test func whatAJobComputesIsItsSpecificationWithoutNamesAndPaths() throws {
        func digest(_ text: String, kind: Kind = .quantize, version: String = "1") throws
            -> SHA256Digest
        {
            JobContent.digest(
                kind: kind,
                try JSONParser.parse(Array(text.utf8)).value,
                pointers: ["/model"],
                version: version
            )
        }
        let usual = try digest(#"{"name": "a", "model": "x.gguf", "seed": 1}"#)
        #expect(try digest(#"{"seed": 1, "model": "job:abc/model"}"#) == usual)
        #expect(try digest(#"{"seed": 2, "model": "x.gguf"}"#) != usual)
        #expect(try digest(#"{"seed": 1, "model": "x.gguf"}"#, kind: .train) != usual)
        #expect(try digest(#"{"seed": 1, "model": "x.gguf"}"#, version: "2") != usual)
    }
}
