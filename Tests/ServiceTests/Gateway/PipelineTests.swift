internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Jobs that are submitted together.
struct PipelineTests {
    typealias Part = JobEngine.PipelineSubmission.Part

    /// One that rounds, one that rounds what that made, and one that starts after both.
    private func parts(_ fixture: StoreFixture) throws -> [Part] {
        var last = try fixture.submission("", kind: "train")
        last.after = ["second"]
        // The order in which they are written does not matter.
        return [
            Part(name: "last", job: last, outputs: ["model"]),
            Part(
                name: "second",
                job: try fixture.submission("", kind: "quantize", model: "job:first/model"),
                outputs: ["model"]
            ),
            Part(
                name: "first",
                job: try fixture.submission("", kind: "quantize"),
                outputs: ["model"]
            ),
        ]
    }

    private func submission(
        _ parts: [Part],
        key: String = "k",
        digest: String = "d"
    ) -> JobEngine.PipelineSubmission {
        JobEngine.PipelineSubmission(
            owner: "ada",
            key: key,
            digest: .of(digest),
            name: "three",
            parts: parts
        )
    }

    private func states(_ fixture: StoreFixture, _ id: String) async throws -> [String] {
        try await fixture.engine.pipeline(id).jobs.map { "\($0.part) \($0.state)" }
    }

    @Test func runsItsJobsInTheOrderOfTheirReferences() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        try await fixture.register(offer: Offer(kinds: [.train]))
        let (id, isCreated) = try await fixture.engine.submit(submission(parts(fixture)))
        #expect(isCreated && id.hasPrefix("p-"))
        var pipeline = try await fixture.engine.pipeline(id)
        #expect(pipeline.summary.state == "QUEUED" && pipeline.summary.jobs == 3)
        #expect(
            try await states(fixture, id) == ["first QUEUED", "second BLOCKED", "last BLOCKED"]
        )
        let ids = pipeline.jobs.map(\.jobID)
        #expect(pipeline.jobs.map(\.pipelineID) == [id, id, id])
        let first = try #require(try await fixture.acquire(role: .quant))
        #expect(first.jobID == ids[0])
        #expect(try await fixture.engine.pipeline(id).summary.state == "RUNNING")
        #expect(try await fixture.complete(first))
        let second = try #require(try await fixture.acquire(role: .quant))
        // The name has become the id, in the specification, too.
        #expect(second.inputs.first?.source == "job:\(ids[0])/model")
        let spec = try JSONParser.parse(second.specJSON).value
        #expect(spec["model"]?.stringValue == "job:\(ids[0])/model")
        #expect(second.inputs.first?.files.map(\.path) == ["model/model.safetensors"])
        #expect(try await fixture.acquire() == nil)
        #expect(try await fixture.complete(second))
        let last = try #require(try await fixture.acquire())
        #expect(last.jobID == ids[2])
        #expect(try await fixture.complete(last))
        pipeline = try await fixture.engine.pipeline(id)
        #expect(pipeline.summary.state == "SUCCEEDED" && pipeline.summary.succeeded == 3)
        #expect(pipeline.summary.finishedUnixMs == fixture.engine.now.unix)
    }

    @Test func isThereOnceHoweverOftenItIsSubmitted() async throws {
        let fixture = try StoreFixture()
        let engine = fixture.engine
        let pipeline = submission(try parts(fixture))
        let answers = try await withThrowingTaskGroup(of: (String, Bool).self) { group in
            for _ in 0..<16 {
                group.addTask {
                    let answer = try await engine.submit(pipeline)
                    return (answer.id, answer.isCreated)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(answers.map(\.0)).count == 1 && answers.filter(\.1).count == 1)
        #expect(try await engine.list(pageSize: 100, before: nil).jobs.count == 3)
        let error = await #expect(throws: StoreError.self) {
            try await engine.submit(submission(parts(fixture), digest: "other"))
        }
        #expect(error?.code == .alreadyExists)
    }

    private func refusal(_ parts: [Part], in fixture: StoreFixture) async throws -> String {
        let error = await #expect(throws: StoreError.self) {
            try await fixture.engine.submit(submission(parts))
        }
        #expect(error?.code == .invalidArgument)
        // All or nothing.
        #expect(try await fixture.engine.list(pageSize: 9, before: nil).jobs.isEmpty)
        return error?.message ?? ""
    }

    @Test func whatCannotRunIsRefusedWhole() async throws {
        let fixture = try StoreFixture()
        let plain = try fixture.submission("", kind: "quantize")
        func part(_ name: String, _ model: String = "m.gguf", after: [String] = []) throws -> Part {
            var job = try fixture.submission("", kind: "quantize", model: model)
            job.after = after
            return Part(name: name, job: job, outputs: ["model", "model-gguf"])
        }
        let cases: [([Part], String)] = [
            ([], "0 jobs"), ([try part("a b")], "a b"), ([try part("../x")], "../x"),
            ([try part("0123456789abcdef")], "looks like an id"),
            ([try part("0123456789ABCDEF")], "looks like an id"),
            ([try part("p-0123456789abcdef")], "looks like an id"),
            ([try part("P-0123456789abcdeF")], "looks like an id"),
            ([try part("a"), try part("a")], "two jobs are called a"),
            ([try part("a", "job:b"), try part("b", "job:a")], "a → b → a"),
            ([try part("a", after: ["a"])], "a → a"),
            ([try part("a"), try part("b", "job:c")], "no job of the pipeline is called c"),
            ([try part("a", after: ["z"])], "after: no job of the pipeline is called z"),
            (
                [try part("a"), try part("b", "job:a/logits")],
                "job b: /model: quantize job a makes no logits; it makes model, model-gguf"
            ),
            (
                (0..<65).map { Part(name: "n\($0)", job: plain, outputs: []) },
                "65 jobs; it has 1 to 64"
            ),
        ]
        for (parts, word) in cases {
            let message = try await refusal(parts, in: fixture)
            #expect(message.contains(word), "\(message)")
        }
    }

    @Test func oneJobThatBreaksALimitRefusesAll() async throws {
        var limits = JobLimits()
        limits.nameBytes = 8
        let fixture = try StoreFixture(limits: limits)
        let job = JobEngine.Submission(
            owner: "ada",
            key: "",
            digest: .of("d"),
            kind: .quantize,
            name: "a name too long",
            spec: Array("{}".utf8),
            resources: Resources(),
            inputs: []
        )
        let parts = try parts(fixture) + [Part(name: "long", job: job, outputs: [])]
        let message = try await refusal(parts, in: fixture)
        #expect(message.hasPrefix("job long: the name"))
    }

    @Test func aQuotaHoldsTheWholeBack() async throws {
        let fixture = try StoreFixture()
        _ = try await fixture.submit("other")
        var quota = AccessPolicy.Quota(queued: 3)
        let error = await #expect(throws: StoreError.self) {
            try await fixture.engine.submit(submission(parts(fixture)), quota: quota)
        }
        #expect(error?.code == .quota)
        quota.queued = 4
        let id = try await fixture.engine.submit(submission(parts(fixture)), quota: quota).id
        // The same again is the same, whatever the quota says now.
        #expect(try await fixture.engine.submit(submission(parts(fixture)), quota: quota).id == id)
    }

    @Test func cancelEndsAllOfIt() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        let id = try await fixture.engine.submit(submission(parts(fixture))).id
        let lease = try #require(try await fixture.acquire(role: .quant))
        try await fixture.engine.cancelPipeline(id, now: false, by: "ada")
        #expect(
            try await states(fixture, id)
                == ["first CANCELLING", "second CANCELLED", "last CANCELLED"]
        )
        #expect(try await fixture.complete(lease, .cancelled))
        #expect(try await fixture.engine.pipeline(id).summary.state == "CANCELLED")
        try await fixture.engine.retryPipeline(id, by: "ada")
        #expect(
            try await states(fixture, id) == ["first QUEUED", "second BLOCKED", "last BLOCKED"]
        )
        let error = await #expect(throws: StoreError.self) {
            try await fixture.engine.retryPipeline(id, by: "ada")
        }
        #expect(error?.code == .invalidState)
    }

    /// Outside of pipelines a retry leaves dependents alone; in them it does not.
    @Test func aRetryOfItsHeadRetriesTheRest() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        let id = try await fixture.engine.submit(submission(parts(fixture))).id
        let lease = try #require(try await fixture.acquire(role: .quant))
        #expect(try await fixture.complete(lease, .failed, reason: "USER_ERROR"))
        #expect(try await fixture.engine.pipeline(id).summary.state == "FAILED")
        #expect(try await states(fixture, id) == ["first FAILED", "second FAILED", "last FAILED"])
        try await fixture.engine.retry(lease.jobID, by: "ada")
        #expect(
            try await states(fixture, id) == ["first QUEUED", "second BLOCKED", "last BLOCKED"]
        )
    }

    @Test func listsNameThePipelinesOfTheirJobs() async throws {
        let fixture = try StoreFixture()
        _ = try await fixture.submit("single")
        let id = try await fixture.engine.submit(submission(parts(fixture))).id
        let page = try await fixture.engine.list(pageSize: 10, before: nil)
        #expect(page.jobs.map(\.part) == ["last", "second", "first", ""])
        #expect(page.pipelines.map(\.pipelineID) == [id])
        // A page that holds a part of it tells of the whole.
        let short = try await fixture.engine.list(pageSize: 1, before: nil)
        #expect(short.jobs.count == 1 && short.pipelines.first?.jobs == 3)
    }

    @Test func whatAFinishedJobDidIsNotDoneAgain() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        func reusing(_ key: String) throws -> JobEngine.PipelineSubmission {
            submission(
                try parts(fixture).map { part in
                    var job = part.job
                    job.content = .of(part.name)
                    job.reuse = JobEngine.Reuse(owner: "ada") { _ in true }
                    return Part(name: part.name, job: job, outputs: part.outputs)
                },
                key: key
            )
        }
        let first = try await fixture.engine.submit(try reusing("1")).id
        for _ in 0..<2 {
            let lease = try #require(try await fixture.acquire(role: .quant))
            #expect(try await fixture.complete(lease))
        }
        let again = try await fixture.engine.submit(try reusing("2")).id
        #expect(
            try await states(fixture, again)
                == ["first SUCCEEDED", "second SUCCEEDED", "last QUEUED"]
        )
        let sources = try await fixture.engine.pipeline(again).jobs.map(\.reusedFrom)
        let made = try await fixture.engine.pipeline(first).jobs.map(\.jobID)
        #expect(sources == [made[0], made[1], ""])
    }

    @Test func aRestartKeepsItWhole() async throws {
        let fixture = try StoreFixture()
        let id = try await fixture.engine.submit(submission(parts(fixture))).id
        let engine = try fixture.reopened()
        try await engine.start()
        let pipeline = try await engine.pipeline(id)
        #expect(pipeline.jobs.map(\.part) == ["first", "second", "last"])
        #expect(pipeline.summary.name == "three" && pipeline.summary.owner == "ada")
        try engine.store.close()
    }
}
