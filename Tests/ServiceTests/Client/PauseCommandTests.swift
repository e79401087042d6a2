internal import ArgumentParser
internal import JobSpecs
internal import Protocol
internal import Synchronization
internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md, Naming jobs: what `pause` and `resume` say, and how paused jobs are shown.
struct PauseCommandTests {
    private static func job(_ kind: String, _ state: String) -> JobSummary {
        JobSummary(jobID: "00ab00000000000a", kind: kind, state: state)
    }

    /// A job that is no training stops at once, and begins anew: that is said, and of what waits nothing.
    @Test func whatAJobThatStopsLosesIsSaid() throws {
        #expect(PauseCommand.note(of: [Self.job("train", "PAUSED")]) == nil)
        #expect(PauseCommand.note(of: [Self.job("quantize", "PAUSED")]) == nil)
        let training = try #require(PauseCommand.note(of: [Self.job("train", "PAUSING")]))
        #expect(training.contains("at its next step") && !training.contains("begins anew"))
        for kind in ["quantize", "evaluate"] {
            let note = try #require(PauseCommand.note(of: [Self.job(kind, "PAUSING")]))
            #expect(note.contains("begins anew") && !note.contains("next step"))
        }
        let both = try #require(
            PauseCommand.note(of: [Self.job("train", "PAUSING"), Self.job("evaluate", "PAUSING")])
        )
        #expect(both.contains("at its next step") && both.contains("begins anew"))
    }

    @Test func pausedJobsAreFilteredAndShown() throws {
        let filter = try JobFilter.parse(["--state", "paused", "--state", "PAUSING"])
        #expect(filter.request(user: "").states == ["PAUSED", "PAUSING"])
        #expect(filter.admits(Self.job("train", "PAUSED"), user: "ada"))
        #expect(!filter.admits(Self.job("train", "QUEUED"), user: "ada"))
        var job = Self.job("train", "PAUSED")
        job.reason = "PAUSED_BY"
        job.reasonMessage = "paused by ada; stopped as asked"
        job.waitReason = "paused by ada; qat-client resume \(job.jobID)"
        job.progress = JobProgress(step: 8, totalSteps: 40, etaSeconds: 70, phase: "train")
        let lines = StatusTable.jobs([job], nowUnixMs: 0).split(separator: "\n")
        // Of what stands still no phase and no time left.
        #expect(
            lines.last?.split(separator: " ").joined(separator: " ")
                == "\(job.jobID) train PAUSED - 8/40 - - 0s \(job.waitReason)"
        )
        let detail = StatusTable.detail(JobDetail(summary: job))
        #expect(detail.contains("waits     \(job.waitReason)"))
        #expect(JobAnswer.json(job)["wait_reason"]?.stringValue == job.waitReason)
        #expect(JobAnswer.json(job)["state"]?.stringValue == "PAUSED")
        #expect(ExitStatus(jobState: "PAUSED") == nil && ExitStatus(jobState: "PAUSING") == nil)
    }

    private static func part(_ part: String, _ state: String, finished: Int64?) -> JobSummary {
        var job = JobSummary(jobID: "id-\(part)", state: state, finishedUnixMs: finished)
        (job.part, job.reason, job.reasonMessage) = (part, "REASON_\(part)", "since \(part)")
        return job
    }

    private static func pipeline(_ state: String, _ jobs: [JobSummary]) -> PipelineDetail {
        PipelineDetail(summary: PipelineSummary(pipelineID: "p-1", state: state), jobs: jobs)
    }

    /// Seen: a pipeline all of whose jobs failed at once was resumed with exit 0, and no sentence; then the one
    /// that was named had been cancelled by hand long before.
    @Test func whatEndedAtOnceIsNamedAndNothingElse() throws {
        let others = [
            Self.part("a", "CANCELLED", finished: 1), Self.part("s", "SUCCEEDED", finished: 2),
        ]
        let paused = Self.pipeline("PAUSED", others + [Self.part("b", "PAUSED", finished: nil)])
        let lost = Self.pipeline("FAILED", others + [Self.part("b", "FAILED", finished: 9)])
        let error = #expect(throws: EndedAtOnce.self) {
            try JobVerb.checkLife(of: lost, before: paused)
        }
        #expect(
            error?.lines == [
                "b (id-b) ended at once: REASON_b: since b", "nothing of p-1 goes on",
            ]
        )
        #expect(error?.status == .failed)
        // The same again, of what had failed before: one that is left alone is no news.
        try JobVerb.checkLife(of: lost, before: lost)
    }

    /// Seen: `retry` of a pipeline of which one job failed at once, and another was queued: exit 0, and no word.
    @Test func whatEndsAtOnceIsSaidWhileOthersGoOn() throws {
        let before = Self.pipeline(
            "FAILED",
            [Self.part("a", "CANCELLED", finished: 1), Self.part("b", "FAILED", finished: 2)]
        )
        for (state, status) in [
            ("FAILED", qat_client.ExitStatus.failed), ("CANCELLED", .cancelled),
        ] {
            let after = Self.pipeline(
                "QUEUED",
                [Self.part("a", "QUEUED", finished: nil), Self.part("b", state, finished: 9)]
            )
            let error = #expect(throws: EndedAtOnce.self) {
                try JobVerb.checkLife(of: after, before: before)
            }
            #expect(error?.lines == ["b (id-b) ended at once: REASON_b: since b"])
            #expect(error?.status == status)
            // Of one job alone the exit is the same.
            let alone = #expect(throws: EndedAtOnce.self) {
                try JobVerb.checkLife(of: after.jobs[1])
            }
            #expect(alone?.status == status && alone?.lines.count == 1)
        }
    }

    /// One of several is no obstacle to the others, and its exit is the verb's.
    @Test func oneThatEndsAtOnceKeepsNoOtherFromGoingOn() async throws {
        let ended = EndedAtOnce(jobs: [Self.job("train", "FAILED")], lines: ["no"])
        let seen = Mutex<[JobTarget]>([])
        let status = try await JobVerb.each(of: [.job("a"), .job("b")], .succeeded) { target in
            seen.withLock { $0.append(target) }
            if target == .job("a") { throw ended }
        }
        #expect(status == .failed && seen.withLock { $0 } == [.job("a"), .job("b")])
        let error = await #expect(throws: ClientError.self) {
            try await JobVerb.each(of: [.job("a")], .succeeded) { _ in throw ended }
        }
        #expect(error?.status == .failed && error?.lines == ["no"])
    }

    @Test func itTakesSeveralAsCancelDoes() throws {
        for verb in ["pause", "resume"] {
            _ = try QatClient.parseAsRoot([verb, "00ab", "my-job", "nightly/train", "--json"])
            #expect(throws: (any Error).self) { try QatClient.parseAsRoot([verb]) }
            #expect(throws: (any Error).self) { try QatClient.parseAsRoot([verb, "x", "--now"]) }
        }
    }
}
