internal import ArgumentParser
internal import JobSpecs
internal import Protocol
internal import Testing
@testable internal import qat_client

@Suite struct StatusTableTests {
    private let status = StatusResponse(
        version: "0.1.0",
        uptimeSeconds: 192,
        services: [
            ServiceInfo(
                role: "train",
                instance: "train-1",
                address: "127.0.0.1:40123",
                state: "ready",
                running: 1
            )
        ],
        jobs: [
            JobSummary(
                jobID: "j1",
                kind: "train",
                name: "qad",
                state: "RUNNING",
                progress: JobProgress(
                    step: 5,
                    totalSteps: 40,
                    loss: 2.5,
                    etaSeconds: 70,
                    phase: "validating 3/16"
                ),
                createdUnixMs: 1_000
            ),
            JobSummary(
                jobID: "j2",
                kind: "train",
                name: "big",
                state: "QUEUED",
                createdUnixMs: 61_000,
                waitReason: "waits for 8 devices"
            ),
        ]
    )

    @Test func jobsOfSeveralShowWhoseTheyAre() {
        var status = status
        status.jobs[0].owner = "ada"
        status.jobs[1].owner = "bob"
        let text = StatusTable.overview(status, address: "h:1", nowUnixMs: 121_000)
        let lines = text.split(separator: "\n").suffix(3).map {
            $0.split(separator: " ").prefix(5).joined(separator: " ")
        }
        #expect(
            lines == [
                "JOB KIND NAME OWNER STATE", "j1 train qad ada RUNNING", "j2 train big bob QUEUED",
            ]
        )
    }

    /// Of whoever asks, whose jobs are is no news; of one other user it is.
    ///
    /// Seen: an operator's list of another one's jobs did not say whose they were.
    @Test(
        arguments: [
            (["ada", "ada"], "ada", false), (["bob", "bob"], "ada", true),
            (["ada", "bob"], "ada", true), (["ada", "bob"], nil, true),
            (["ada", "ada"], nil, false),
            (["", ""], "ada", false), (["", "ada"], "ada", true),
        ] as [([String], String?, Bool)]
    )
    func ownersAreShownWhereOneIsNotTheCaller(owners: [String], caller: String?, isShown: Bool) {
        var status = status
        for (index, owner) in owners.enumerated() { status.jobs[index].owner = owner }
        let text = StatusTable.overview(status, address: "h:1", nowUnixMs: 0, caller: caller)
        #expect(text.contains("OWNER") == isShown, "\(text)")
        var summary = PipelineSummary(pipelineID: "p", name: "n", owner: owners[0], jobs: 2)
        summary.state = "RUNNING"
        let detail = PipelineDetail(summary: summary, jobs: status.jobs)
        let part = StatusTable.detail(detail, caller: caller, nowUnixMs: 0)
        #expect(part.contains("OWNER") == isShown, "\(part)")
    }

    @Test func aNarrowTerminalHasTheFirstLineInParts() {
        let text = StatusTable.overview(
            status,
            address: "127.0.0.1:7443",
            nowUnixMs: 121_000,
            columns: 40
        )
        let lines = text.split(separator: "\n").prefix(3)
        #expect(lines == ["gateway 127.0.0.1:7443", "version 0.1.0", "up 3m12s"])
    }

    @Test func alignsColumnsAndShowsWhyAJobWaits() {
        let text = StatusTable.overview(status, address: "127.0.0.1:7443", nowUnixMs: 121_000)
        #expect(
            text == """
                gateway 127.0.0.1:7443  version 0.1.0  up 3m12s

                SERVICE  INSTANCE  ADDRESS          STATE  RUNNING
                train    train-1   127.0.0.1:40123  ready  1

                JOB  KIND   NAME  STATE    PHASE            STEP  LOSS    ETA    AGE    NOTE
                j1   train  qad   RUNNING  validating 3/16  5/40  2.5000  1m10s  2m00s
                j2   train  big   QUEUED   -                -     -       -      1m00s  waits for 8 devices
                """
        )
    }

    /// Seen: names were cut at 28 columns and notes at 120, into a pipe and on wide terminals, too.
    @Test(arguments: [nil, 900])
    func whereThereIsRoomNothingIsCut(columns: Int?) {
        let name = "smollm2-135m-mxfp4-hamlet-distilled-seed-1234-run-7"
        let phase = "rounding candidates of the attention of layer 7 of 30"
        let owner = "somebody-with-a-very-long-name"
        var wide = status
        wide.jobs[0].name = name
        wide.jobs[0].owner = owner
        wide.jobs[0].progress.phase = phase
        wide.jobs[1].waitReason = String(repeating: "no worker fits; ", count: 40) + "the end"
        var part = wide.jobs[0]
        (part.jobID, part.pipelineID, part.part) = ("j3", "p", name)
        wide.jobs.append(part)
        let long = "a-pipeline-" + name
        wide.pipelines = [PipelineSummary(pipelineID: "p", name: long, state: "RUNNING", jobs: 1)]
        let text = StatusTable.overview(wide, address: "h", nowUnixMs: 0, columns: columns)
        for whole in [name, long, phase, owner, "the end"] { #expect(text.contains(whole)) }
        #expect(!text.contains("…"), "\(text)")
    }

    /// Seen: `waits for train-1 to become free: worker train-1 is stopping`, long after that was so; the
    /// phase and the time left of the attempt before, as if it ran.
    @Test(arguments: ["QUEUED", "BLOCKED"])
    func aJobThatWaitsSaysWhyAlone(state: String) {
        var job = status.jobs[0]
        job.state = state
        job.waitReason = "waits for train-1 to become free"
        (job.reason, job.reasonMessage) = ("WORKER_LOST", "worker train-1 is stopping")
        let text = StatusTable.jobs([job], nowUnixMs: 0)
        #expect(text.contains(job.waitReason) && !text.contains("stopping"), "\(text)")
        #expect(!text.contains("validating") && !text.contains("1m10s"), "\(text)")
        let detail = StatusTable.detail(JobDetail(summary: job))
        #expect(detail.contains("worker train-1 is stopping"), "\(detail)")
    }

    @Test(arguments: [24, 40, 60, 80, 140])
    func fitsTheTerminal(columns: Int) {
        var wide = status
        wide.jobs[1].name = "模型の量子化ジョブ"
        let text = StatusTable.overview(
            wide,
            address: "h:1",
            nowUnixMs: 121_000,
            columns: columns
        )
        let lines = text.split(separator: "\n").map(String.init).dropFirst()
        #expect(lines.allSatisfy { DisplayWidth.columns($0) <= columns }, "\(text)")
        #expect(lines.contains { $0.contains("j1") && $0.contains("RUNNING") }, "\(text)")
    }

    @Test func aNameOfOthersCannotSteerTheTerminal() {
        var strange = status
        strange.jobs[0].name = "a\u{1B}[2J\nb"
        let text = StatusTable.overview(strange, address: "h:1", nowUnixMs: 0)
        #expect(!text.contains("\u{1B}") && text.contains("a\\u{1b}[2J\\u{a}b"))
    }

    @Test func saysThatThereIsNothing() {
        let text = StatusTable.overview(StatusResponse(), address: "h:1", nowUnixMs: 0)
        #expect(text == "gateway h:1  version   up 0s\n\nno services have registered\n\nno jobs")
    }

    @Test func hasTheJSONShapeThatScriptsRelyOn() {
        let json = JobAnswer.json(status, address: "127.0.0.1:7443")
        #expect(json["gateway"]?["version"]?.stringValue == "0.1.0")
        #expect(json["gateway"]?["uptime_s"]?.doubleValue == 192)
        let service = json["services"]?.arrayValue?.first
        #expect(service?["role"]?.stringValue == "train")
        #expect(service?["running"]?.integerValue == 1)
        let job = json["jobs"]?.arrayValue?.first
        #expect(
            job?["progress"]?.canonicalText
                == #"{"eta_s":70,"loss":2.5,"phase":"validating 3/16","step":5,"total_steps":40}"#
        )
        #expect(job?["created_at"]?.stringValue == "1970-01-01T00:00:01.000Z")
        #expect(job?["reason"] == nil)
        #expect(job?["finished_at"] == nil)
    }

    /// Seen: "reused from job …" as its message, and again as a line of its own.
    @Test(arguments: ["reused from job 00aa000000000001", ""])
    func whereAJobWasReusedFromIsSaidOnce(message: String) {
        var job = JobDetail(summary: JobSummary(jobID: "j", kind: "train", state: "SUCCEEDED"))
        job.summary.reusedFrom = "00aa000000000001"
        job.summary.reasonMessage = message
        let text = StatusTable.detail(job)
        #expect(text.split(separator: "00aa000000000001").count == 2, "\(text)")
        #expect(text.contains("from job 00aa000000000001"))
        // That one cannot be looked at any more.
        job.summary.isReusedRemoved = true
        let removed = StatusTable.detail(job).split(separator: "\n").map(String.init)
        #expect(
            removed.contains("reused    from job 00aa000000000001, which was removed since"),
            "\(removed)"
        )
        let json = JobAnswer.json(job.summary)
        #expect(json["reused_from"]?.stringValue == "00aa000000000001")
        #expect(json["reused_from_removed"] == .boolean(true))
        job.summary.isReusedRemoved = false
        #expect(JobAnswer.json(job.summary)["reused_from_removed"] == nil)
        // Others were not.
        job.summary.reusedFrom = ""
        job.summary.reasonMessage = ""
        #expect(!StatusTable.detail(job).contains("reused"))
    }

    @Test func showsAJobsOutputsAndResults() {
        let job = JobDetail(
            summary: JobSummary(jobID: "j", kind: "evaluate", state: "SUCCEEDED", attempt: 1),
            resultsJSON: Array(
                #"{"rows":[{"label":"PTQ","perplexity":12.34567,"perplexity_ci95":[12,13]}]}"#.utf8
            ),
            outputs: [OutputFile(name: "report.json", size: 1500)]
        )
        let lines = StatusTable.detail(job).split(separator: "\n").map(String.init)
        #expect(lines.contains("output    report.json  1.5 kB"))
        #expect(
            lines.suffix(3) == [
                "results", "  LABEL  PERPLEXITY        95 % CI",
                "  PTQ         12.35  12.00 – 13.00",
            ]
        )
        let json = JobAnswer.json(job)
        #expect(json["results"]?["rows"]?.arrayValue?.count == 1)
        #expect(
            json["outputs"]?.arrayValue?.first?.canonicalText
                == #"{"digest":"sha256:\#(SHA256Digest.zero.hex)","name":"report.json","size":1500}"#
        )
    }
}

@Suite struct ExitStatusTests {
    @Test(
        arguments: [
            ("SUCCEEDED", 0), ("FAILED", 1), ("CANCELLED", 3),
        ] as [(String, Int32)]
    )
    func followsTheJobsOutcome(state: String, expected: Int32) {
        #expect(ExitStatus(jobState: state)?.rawValue == expected)
    }

    @Test func isUnknownWhileAJobLives() {
        for state in ["QUEUED", "RUNNING", "CANCELLING", "RECOVERING", ""] {
            #expect(ExitStatus(jobState: state) == nil)
        }
    }

    @Test(
        arguments: [
            (.unavailable, 4), (.deadlineExceeded, 4), (.unauthenticated, 5),
            (.permissionDenied, 5),
            (.resourceExhausted, 5), (.invalidArgument, 2), (.notFound, 2), (.alreadyExists, 2),
            (.failedPrecondition, 5), (.internal, 5),
        ] as [(RPCError.Code, Int32)]
    )
    func followsWhyACallFailed(code: RPCError.Code, expected: Int32) {
        #expect(ExitStatus(RPCError(code, "")).rawValue == expected)
    }

    /// docs/CLIENT.md, Exits: what does not accept the other side is no gateway to try later.
    @Test func isARefusalWhereOneSideDoesNotAcceptTheOther() {
        let refused = RPCError(.unavailable, "unknown authority", category: .permanent)
        #expect(ExitStatus(refused).rawValue == 5)
        #expect(ExitStatus(RPCError(.unavailable, "gone", category: .reconnect)).rawValue == 4)
    }

    @Test func takesTheWorstOfSeveralJobs() {
        #expect(ExitStatus.worst([]) == .succeeded)
        #expect(ExitStatus.worst([.succeeded, .cancelled]) == .cancelled)
        #expect(ExitStatus.worst([.cancelled, .failed, .succeeded]) == .failed)
    }

    @Test(arguments: [
        ["submit"], ["bogus"], ["submit", "train", "x", "--key", "a b"],
        ["wait", "a", "--timeout", "-1"],
        ["local", "up", "--port", "0"], ["certs", "issue", "--dir", "d"],
        ["certs", "issue", "--dir", "d", "--service", "king/x"],
    ])
    func isTwoForWrongCommandLines(arguments: [String]) {
        let error = #expect(throws: (any Error).self) { try QatClient.parseAsRoot(arguments) }
        #expect(error.map(ExitStatus.report) == 2)
    }

    @Test func isZeroForHelp() {
        let error = #expect(throws: (any Error).self) { try QatClient.parseAsRoot(["--version"]) }
        #expect(error.map(ExitStatus.report) == 0)
    }
}
