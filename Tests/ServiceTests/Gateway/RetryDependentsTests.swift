internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// What a retry takes along (docs/JOBS.md, Retry): within the quota, in portions, to be taken up again.
struct RetryDependentsTests {
    private func policy(queued: Int) -> AccessPolicy {
        var policy = AccessPolicy()
        policy.quota.queued = queued
        return policy
    }

    /// Seen: the quota was an error, though the job was put back; the same again was refused.
    @Test func dependentsBeyondTheQuotaStayAndAreTakenUpLater() async throws {
        let fixture = try StoreFixture(policy: policy(queued: 3))
        let engine = fixture.engine
        let first = try await fixture.submit("a", kind: "quantize")
        var dependents: [String] = []
        for index in 0..<5 {
            dependents.append(
                try await fixture.submit("b\(index)", kind: "quantize", model: "job:\(first)")
            )
        }
        let last = try await fixture.submit("c", model: "job:\(dependents[4])")
        try await engine.cancel(first, now: true, by: "ada")
        func states() async throws -> [String] {
            var states: [String] = []
            for id in dependents + [last] { states.append(try await fixture.state(id)) }
            return states
        }
        // Three may wait: the job and two of the five; the one after the fifth is left, too.
        let outcome = try await engine.retry(first, by: "ada", withDependents: true)
        #expect(outcome == RetryOutcome(isJobRetried: true, dependents: 2, left: 4))
        #expect(
            try await states() == ["BLOCKED", "BLOCKED", "FAILED", "FAILED", "FAILED", "FAILED"]
        )
        let again = try await engine.retry(first, by: "ada", withDependents: true)
        #expect(again == RetryOutcome(dependents: 0, left: 4))

        for id in dependents[..<2] { try await engine.cancel(id, now: true, by: "ada") }
        let next = try await engine.retry(first, by: "ada", withDependents: true)
        #expect(next == RetryOutcome(dependents: 2, left: 2))
        #expect(
            try await states()
                == ["CANCELLED", "CANCELLED", "BLOCKED", "BLOCKED", "FAILED", "FAILED"]
        )
        for id in dependents[2..<4] { try await engine.cancel(id, now: true, by: "ada") }
        let rest = try await engine.retry(first, by: "ada", withDependents: true)
        #expect(rest == RetryOutcome(dependents: 2, left: 0))
        // With nothing left to do, the job's own state is the answer.
        let refusal = await #expect(throws: StoreError.self) {
            try await engine.retry(first, by: "ada", withDependents: true)
        }
        #expect(refusal?.code == .invalidState)
    }

    /// What a retry took along while it was cut off, it takes up again though the job is done meanwhile.
    @Test func aJobThatIsDoneStillTakesItsDependentsAlong() async throws {
        let fixture = try StoreFixture()
        try await fixture.register(offer: Offer(kinds: [.quantize]))
        let first = try await fixture.submit("a", kind: "quantize")
        let second = try await fixture.submit("b", model: "job:\(first)")
        try await fixture.engine.cancel(first, now: true, by: "ada")
        try await fixture.engine.retry(first, by: "ada")
        let lease = try #require(try await fixture.acquire(role: .quant))
        #expect(try await fixture.complete(lease))
        let outcome = try await fixture.engine.retry(first, by: "ada", withDependents: true)
        #expect(outcome == RetryOutcome(dependents: 1, left: 0))
        #expect(try await fixture.state(first) == "SUCCEEDED")
        #expect(try await fixture.state(second) == "QUEUED")
    }

    /// Seen: 80 a second, no word in the audit log of what was changed before the end, no way to go on.
    ///
    /// They are more than two commits take.
    @Test func sixHundredAreTakenAlongAlthoughItIsCutOffOnTheWay() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let fixture = gateway.jobs
            let first = try await fixture.submit("a", kind: "quantize")
            let usual = try fixture.submission("x", kind: "quantize", model: "job:\(first)")
            var batch = JobBatch()
            for index in 0..<600 {
                let id = "dependent-\(index)"
                var job = Job(id: id, kind: .quantize, state: .failed, created: 0)
                job.reason = .artifactMissing
                batch.insertions.append(
                    JobBatch.Insertion(
                        owner: "ada",
                        key: id,
                        digest: usual.digest,
                        name: "",
                        spec: usual.spec,
                        resources: usual.resources,
                        depth: 2,
                        job: job,
                        inputs: usual.inputs
                    )
                )
            }
            #expect(try await fixture.engine.store.commit(batch) == .committed)
            try await fixture.engine.cancel(first, now: true, by: "ada")
            // What a disk does that fails on the way.
            try await fixture.execute(
                """
                CREATE TRIGGER cut BEFORE UPDATE ON job WHEN NEW.id = 'dependent-300'
                BEGIN SELECT RAISE(ABORT, 'cut off'); END
                """
            )
            let request = RetryJobRequest(jobID: first, withDependents: true)
            // By the disk, and not by the time that a busy machine takes.
            let failure = await code {
                _ = try await ada.call(QatMethods.retryJob, request, timeout: .seconds(600))
            }
            #expect(failure != nil && failure != .deadlineExceeded)
            let changed = try await fixture.engine.store.jobs(
                in: [.blocked],
                after: 0,
                limit: 601
            )
            .jobs.count
            #expect(changed > 0 && changed <= 300)
            let said = gateway.audit.last { $0.method == "qat.v1.Jobs/Retry" }
            #expect(said?.isAllowed == true)
            #expect(said?.rule == "job \(first), \(changed) dependents of job \(first)")
            try await fixture.execute("DROP TRIGGER cut")
            let summary = try await ada.call(QatMethods.retryJob, request)
            #expect(summary.state == "QUEUED" && summary.dependentsLeft == 0)
            #expect(Int(summary.dependentsRetried) + changed == 600)
            #expect(
                gateway.audit.last?.rule
                    == "\(summary.dependentsRetried) dependents of job \(first)"
            )
            let left = try await fixture.engine.store.jobs(in: [.failed], after: 0, limit: 1)
            #expect(left.jobs.isEmpty)
        }
    }
}
