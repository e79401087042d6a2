internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Quotas hold to the job and the byte, however many calls come at the same instant.
struct QuotaTests {
    private static func policy(_ quota: AccessPolicy.Quota) -> AccessPolicy {
        var policy = AccessPolicy()
        policy.quota = quota
        return policy
    }

    /// Runs calls at once; how many succeed, and the refusals of the others.
    private func together<Value: Sendable>(
        _ count: Int,
        _ body: @escaping @Sendable (Int) async throws -> Value
    ) async -> (values: [Value], refusals: [StoreError.Code]) {
        await withTaskGroup(of: Result<Value, any Error>.self) { group in
            for index in 0..<count {
                group.addTask {
                    do { return .success(try await body(index)) } catch { return .failure(error) }
                }
            }
            return await group.reduce(into: (values: [], refusals: [])) { result, one in
                switch one {
                case .success(let value): result.values.append(value)
                case .failure(let error):
                    result.refusals += (error as? StoreError).map { [$0.code] } ?? []
                }
            }
        }
    }

    /// Seen: as many jobs ran as workers asked at once.
    @Test func noMoreJobsRunThanTheQuotaSays() async throws {
        let fixture = try StoreFixture(policy: Self.policy(.init(running: 2)))
        for index in 0..<8 {
            try await fixture.register("w\(index)")
            try await fixture.submit("k\(index)")
        }
        var bob = try fixture.submission("bob's")
        bob = JobEngine.Submission(
            owner: "bob",
            key: "k",
            digest: bob.digest,
            kind: bob.kind,
            name: "bob's",
            spec: bob.spec,
            resources: bob.resources,
            inputs: bob.inputs
        )
        _ = try await fixture.engine.submit(bob)
        let (leases, refusals) = await together(8) { index in
            try await fixture.acquire("w\(index)")
        }
        #expect(refusals.isEmpty)
        // Two of ada's, and bob's, who is behind all of them.
        #expect(leases.compactMap { $0 }.count == 3)
        #expect(try await fixture.engine.store.runningCounts() == ["ada": 2, "bob": 1])
    }

    @Test func aQuotaOfNoneRunsNoneAndSaysSo() async throws {
        let fixture = try StoreFixture(policy: Self.policy(.init(running: 0)))
        try await fixture.register()
        let id = try await fixture.submit("k")
        #expect(try await fixture.acquire() == nil)
        let wait = try await fixture.engine.detail(id).summary.waitReason
        #expect(wait == "ada may run no jobs (quota)")
    }

    /// Seen: twelve cancelled jobs, each retried, were twelve waiting ones under a quota of three.
    @Test func noMoreJobsAreRetriedThanTheQuotaSays() async throws {
        let fixture = try StoreFixture(policy: Self.policy(.init(queued: 3)))
        var ids: [String] = []
        for index in 0..<12 {
            let id = try await fixture.submit("k\(index)")
            try await fixture.engine.cancel(id, now: true, by: "ada")
            ids.append(id)
        }
        let all = ids
        let (_, refusals) = await together(12) { index in
            try await fixture.engine.retry(all[index], by: "ada")
        }
        #expect(refusals == Array(repeating: .quota, count: 9))
        let jobs = try await fixture.engine.list(pageSize: 99, before: nil).jobs
        #expect(jobs.count { $0.state == "QUEUED" } == 3)
        #expect(jobs.count { $0.state == "CANCELLED" } == 9)
    }

    /// A pipeline's jobs count together, as at its submission: all are retried, or none.
    @Test func aPipelineIsRetriedWholeOrNotAtAll() async throws {
        let fixture = try StoreFixture(policy: Self.policy(.init(queued: 3)))
        let job = try fixture.submission("", kind: "quantize")
        let next = try fixture.submission("", kind: "quantize", model: "job:first")
        let pipeline = try await fixture.engine.submit(
            JobEngine.PipelineSubmission(
                owner: "ada",
                key: "p",
                digest: .of("p"),
                name: "",
                parts: [
                    .init(name: "first", job: job, outputs: ["model"]),
                    .init(name: "second", job: next, outputs: ["model"]),
                ]
            )
        ).id
        try await fixture.engine.cancelPipeline(pipeline, now: true, by: "ada")
        let others = [try await fixture.submit("a"), try await fixture.submit("b")]
        let error = await #expect(throws: StoreError.self) {
            try await fixture.engine.retryPipeline(pipeline, by: "ada")
        }
        #expect(error?.code == .quota && error?.message.contains("ada") == true)
        let states = try await fixture.engine.pipeline(pipeline).jobs.map(\.state)
        #expect(states == ["CANCELLED", "CANCELLED"])
        try await fixture.engine.cancel(others[0], now: true, by: "ada")
        try await fixture.engine.retryPipeline(pipeline, by: "ada")
        let retried = try await fixture.engine.pipeline(pipeline).jobs.map(\.state)
        #expect(retried == ["QUEUED", "BLOCKED"])
    }

    /// Ten uploads of three bytes at once under a quota of ten: three are kept.
    @Test func noMoreBytesAreKeptThanTheQuotaSays() async throws {
        try await GatewayFixture.run(Self.policy(.init(bytes: 10))) { gateway in
            let ada = try gateway.user("ada")
            for round in 0..<5 {
                await withTaskGroup(of: Void.self) { group in
                    for index in 0..<10 {
                        group.addTask { _ = try? await gateway.put("\(round)-\(index)", ada) }
                    }
                }
                let kept = try await gateway.jobs.engine.store.byteCount(of: "user/ada")
                #expect(kept == 9)
            }
        }
    }

    /// Seen: who had no bytes left went on submitting the same inputs under other seeds, and got the outputs.
    @Test func whoHasNoBytesLeftGetsNoMoreOutputs() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let bob = try gateway.user("bob")
            let id = try await gateway.submit(ada, key: "a")
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id, now: true))
            gateway.jobs.engine.policies.put(Self.policy(.init(bytes: 1)))
            #expect(
                await code { try await gateway.submit(ada, key: "b", uploads: false) }
                    == .resourceExhausted
            )
            let retry = RetryJobRequest(jobID: id)
            #expect(
                await code { _ = try await ada.call(QatMethods.retryJob, retry) }
                    == .resourceExhausted
            )
            // What was taken before is answered as before, and others have their own.
            #expect(try await gateway.submit(ada, key: "a", uploads: false) == id)
            gateway.jobs.engine.policies.put(Self.policy(.init(bytes: 2)))
            try await gateway.submit(bob, key: "b")
            _ = try await ada.call(QatMethods.retryJob, retry)
        }
    }

    /// Seen: whoever had used more than half of their quota could not repair a damaged upload.
    @Test func whatIsPutAgainCountsOnce() async throws {
        try await GatewayFixture.run(Self.policy(.init(bytes: 10))) { gateway in
            let ada = try gateway.user("ada")
            for _ in 0..<3 { try await gateway.put("7 bytes", ada) }
            #expect(try await gateway.jobs.engine.store.byteCount(of: "user/ada") == 7)
            let more = await code { try await gateway.put("others", ada) }
            #expect(more == .resourceExhausted)
        }
    }

    /// Seen: where all see all, a refused submission charged its user with others' artifacts, beyond the quota.
    @Test func askingForOthersArtifactsTakesNoMoreThanTheQuotaLeaves() async throws {
        var policy = Self.policy(.init(bytes: 10))
        policy.visibility = .all
        policy.userQuotas["bob"] = .init()
        try await GatewayFixture.run(policy) { gateway in
            let ada = try gateway.user("ada")
            let bob = try gateway.user("bob")
            for text in ["7 bytes", "others"] { try await gateway.put(text, bob) }
            func ask(_ texts: [String]) async throws -> [SHA256Digest] {
                let request = FindMissingRequest(digests: texts.map { .of($0) })
                return try await ada.call(QatMethods.findMissing, request).digests
            }
            #expect(await code { _ = try await ask(["7 bytes", "others"]) } == .resourceExhausted)
            #expect(try await gateway.jobs.engine.store.byteCount(of: "user/ada") == 0)
            #expect(try await ask(["7 bytes", "none"]) == [.of("none")])
            #expect(try await gateway.jobs.engine.store.byteCount(of: "user/ada") == 7)
            // What is hers may be asked for again; more may not.
            #expect(try await ask(["7 bytes"]).isEmpty)
            #expect(await code { _ = try await ask(["others"]) } == .resourceExhausted)
        }
    }

    @Test func anUploadThatEndsMeanwhileIsLookedUpAgain() throws {
        let uploads = RunningUploads()
        let before = uploads.endedCount
        try uploads.begin("user/ada", byteCount: 6, room: 10)
        uploads.end("user/ada", byteCount: 6)
        // What was left before it ended is not what is left now.
        #expect(
            try !uploads.begin("user/ada", byteCount: 6, room: 10, endedCount: before)
        )
        let now = uploads.endedCount
        #expect(try uploads.begin("user/ada", byteCount: 4, room: 4, endedCount: now))
    }
}
