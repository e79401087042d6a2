internal import ArgumentParser
internal import JobSpecs
internal import Protocol
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

    /// Seen: a pipeline all of whose jobs failed at once was resumed with exit 0, and no sentence.
    @Test func aPipelineOfWhichNothingGoesOnIsRefused() throws {
        var lost = Self.job("train", "FAILED")
        (lost.part, lost.reason, lost.reasonMessage) = ("b", "DEPENDENCY_FAILED", "a was cancelled")
        func pipeline(_ state: String, _ jobs: [JobSummary]) -> PipelineDetail {
            PipelineDetail(summary: PipelineSummary(pipelineID: "p-1", state: state), jobs: jobs)
        }
        let error = #expect(throws: RPCError.self) {
            try JobVerb.checkLife(
                of: pipeline("FAILED", [Self.job("quantize", "SUCCEEDED"), lost])
            )
        }
        #expect(ExitStatus(try #require(error)) == .rejected)
        #expect(error?.message.contains("b (00ab00000000000a): DEPENDENCY_FAILED") == true)
        try JobVerb.checkLife(of: pipeline("RUNNING", [Self.job("train", "RUNNING"), lost]))
    }

    @Test func itTakesSeveralAsCancelDoes() throws {
        for verb in ["pause", "resume"] {
            _ = try QatClient.parseAsRoot([verb, "00ab", "my-job", "nightly/train", "--json"])
            #expect(throws: (any Error).self) { try QatClient.parseAsRoot([verb]) }
            #expect(throws: (any Error).self) { try QatClient.parseAsRoot([verb, "x", "--now"]) }
        }
    }
}
