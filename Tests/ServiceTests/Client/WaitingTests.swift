internal import Protocol
internal import Synchronization
internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md, Watching: of a job that waits, why.
///
/// Seen: `watch` of a job that no worker could take said QUEUED and nothing more.
@Suite struct WaitingTests {
    private static func state(_ seq: UInt64, _ state: String, job: String = "j") -> JobEvent {
        JobEvent(jobID: job, seq: seq, type: .state, state: state)
    }

    private static func summary(
        _ state: String,
        _ reason: String,
        job: String = "j"
    ) -> JobSummary {
        JobSummary(jobID: job, state: state, waitReason: reason)
    }

    private static func note(_ reason: String, job: String = "j") -> WaitNote {
        WaitNote(jobID: job, state: "QUEUED", reason: reason)
    }

    /// What happened while jobs were followed, and how often the watcher paused.
    private final class Course: Sendable {
        struct State {
            var told: [String] = []
            var asksWhenRunning: Int?
            var pauses = 0
            var pausesWhenRunning = 0
        }
        let state = Mutex(State())
        let gateway: ScriptedGateway

        init(_ gateway: ScriptedGateway) { self.gateway = gateway }

        func take(_ news: JobNews) {
            let asks = gateway.state.withLock { $0.asks }
            state.withLock { state in
                switch news {
                case .event(let event):
                    state.told.append("\(event.jobID) \(event.state)")
                    guard event.state == "RUNNING", state.asksWhenRunning == nil else { return }
                    state.asksWhenRunning = asks
                    state.pausesWhenRunning = state.pauses
                case .waits(let note): state.told.append("\(note.jobID) \(note.reason)")
                }
            }
        }
    }

    /// Waits until something holds, which a cause within the test makes happen.
    private static func wait(until isTrue: @Sendable () -> Bool) async throws {
        while !isTrue() { try await Task.sleep(for: .milliseconds(1)) }
    }

    private func follow(_ course: Course, _ target: JobTarget) async throws {
        try await course.gateway.serve { client in
            let watcher = TargetWatcher(client: client, target: target) { _ in
                course.state.withLock { $0.pauses += 1 }
                try await Task.sleep(for: .milliseconds(1))
            }
            try await watcher.follow(onNews: { course.take($0) })
        }
    }

    @Test func itIsAskedWhileAJobWaitsAndNeverOnceItRuns() async throws {
        let box = Mutex<Course?>(nil)
        let gateway = try ScriptedGateway(playbacks: [
            .init(
                events: [
                    Self.state(1, "QUEUED"), Self.state(2, "RUNNING"), Self.state(3, "SUCCEEDED"),
                ],
                before: { event in
                    guard let course = box.withLock({ $0 }) else { return }
                    switch event.state {
                    // It was asked about often enough for all that is to be said.
                    case "RUNNING":
                        try await Self.wait { course.gateway.state.withLock { $0.asks >= 6 } }
                    // It had time enough to be asked about again.
                    case "SUCCEEDED":
                        try await Self.wait {
                            course.state.withLock {
                                $0.asksWhenRunning != nil && $0.pauses > $0.pausesWhenRunning + 20
                            }
                        }
                    default: break
                    }
                }
            )
        ])
        let reasons = [
            "no worker for train jobs is registered", "no worker for train jobs is registered",
            "is kept back for another 30 s after 2 losses in a row",
            "is kept back for another 25 s after 2 losses in a row",
            "waits for train-1 to become free",
        ]
        gateway.state.withLock { state in
            state.details = reasons.map { JobDetail(summary: Self.summary("QUEUED", $0)) }
        }
        let course = Course(gateway)
        box.withLock { $0 = course }
        try await follow(course, .job("j"))
        let state = course.state.withLock { $0 }
        #expect(
            state.told == [
                "j QUEUED", "j \(reasons[0])", "j \(reasons[2])", "j \(reasons[4])", "j RUNNING",
                "j SUCCEEDED",
            ]
        )
        // One question may have been under way when it began to run.
        let asks = gateway.state.withLock { $0.asks }
        #expect(asks <= (state.asksWhenRunning ?? 0) + 1)
    }

    /// docs/CLIENT.md: a stream for each job, of which the largest pipeline that a gateway takes has 64 (docs/JOBS.md).
    ///
    /// All may be at work at once, on the one connection of a watcher that also asks why some wait.
    @Test(.timeLimit(.minutes(2)))
    func theLargestPipelineCanBeWatched() async throws {
        let ids = (0..<64).map { "j\($0)" }
        let box = Mutex<ScriptedGateway?>(nil)
        let playbacks = ids.map { id in
            ScriptedGateway.Playback(
                events: [Self.state(1, "RUNNING", job: id), Self.state(2, "SUCCEEDED", job: id)],
                before: { event in
                    guard event.state == "SUCCEEDED", let gateway = box.withLock({ $0 }) else {
                        return
                    }
                    // None ends before all are followed, and a question is answered besides.
                    try await Self.wait {
                        gateway.state.withLock { $0.watches.count >= 64 && $0.asks >= 2 }
                    }
                }
            )
        }
        let gateway = try ScriptedGateway(playbacks: playbacks)
        box.withLock { $0 = gateway }
        gateway.state.withLock { state in
            state.pipelineDetails = [
                PipelineDetail(
                    summary: PipelineSummary(pipelineID: "p-1"),
                    jobs: ids.map { Self.summary("QUEUED", "waits", job: $0) }
                )
            ]
        }
        let course = Course(gateway)
        try await follow(course, .pipeline("p-1"))
        box.withLock { $0 = nil }
        let told = course.state.withLock { $0.told }
        #expect(
            Set(told.filter { $0.hasSuffix("SUCCEEDED") }) == Set(ids.map { "\($0) SUCCEEDED" })
        )
        #expect(gateway.state.withLock { $0.watches.count } == 64)
    }

    /// All parts are asked about at once, and each is named.
    @Test func aPipelinesPartsSayWhyTheyWait() async throws {
        let box = Mutex<Course?>(nil)
        let before: @Sendable (JobEvent) async throws -> Void = { event in
            guard let course = box.withLock({ $0 }), event.state == "SUCCEEDED" else { return }
            try await Self.wait { course.state.withLock { $0.told.count >= 4 } }
        }
        let gateway = try ScriptedGateway(playbacks: [
            .init(
                events: [Self.state(1, "QUEUED", job: "a"), Self.state(2, "SUCCEEDED", job: "a")],
                before: before
            ),
            .init(
                events: [Self.state(1, "BLOCKED", job: "b"), Self.state(2, "SUCCEEDED", job: "b")],
                before: before
            ),
        ])
        gateway.state.withLock { state in
            state.pipelineDetails = [
                PipelineDetail(jobs: [
                    Self.summary("QUEUED", "waits for quant-1 to become free", job: "a"),
                    Self.summary("BLOCKED", "waits for the outputs of job:a/model", job: "b"),
                ])
            ]
        }
        let course = Course(gateway)
        box.withLock { $0 = course }
        try await follow(course, .pipeline("p"))
        let told = course.state.withLock { $0.told }
        #expect(Set(told).count == 6 && told.count == 6, "\(told)")
        #expect(told.contains("a waits for quant-1 to become free"))
        #expect(told.contains("b waits for the outputs of job:a/model"))
    }

    /// docs/CLIENT.md: `watch` and `wait` go on over a pause, and say who holds the job back.
    @Test func aPauseIsSaidAndWaitedOver() async throws {
        let reason = "paused by ada; qat-client resume j"
        let box = Mutex<Course?>(nil)
        let gateway = try ScriptedGateway(playbacks: [
            .init(
                events: [
                    Self.state(1, "PAUSING"), Self.state(2, "PAUSED"), Self.state(3, "RUNNING"),
                    Self.state(4, "SUCCEEDED"),
                ],
                before: { event in
                    guard let course = box.withLock({ $0 }), event.state == "RUNNING" else {
                        return
                    }
                    try await Self.wait {
                        course.state.withLock { $0.told.contains("j \(reason)") }
                    }
                }
            )
        ])
        gateway.state.withLock {
            $0.details = [JobDetail(summary: Self.summary("PAUSED", reason))]
        }
        let course = Course(gateway)
        box.withLock { $0 = course }
        try await follow(course, .job("j"))
        #expect(
            course.state.withLock { $0.told } == [
                "j PAUSING", "j PAUSED", "j \(reason)", "j RUNNING", "j SUCCEEDED",
            ]
        )
    }

    @Test(arguments: [true, false])
    func aWaitSaysWhoHoldsTheJobBack(isPausedAtFirst: Bool) async throws {
        var paused = Self.state(2, "PAUSED")
        paused.message = "paused by ada; stopped as asked"
        let gateway = try ScriptedGateway(playbacks: [
            .init(events: [paused, Self.state(3, "BLOCKED"), Self.state(4, "SUCCEEDED")])
        ])
        var first = JobDetail(summary: Self.summary("RUNNING", ""))
        if isPausedAtFirst {
            first.summary.state = "PAUSED"
            first.summary.reasonMessage = paused.message
            first.lastSeq = 2
        }
        let done = JobDetail(summary: Self.summary("SUCCEEDED", ""))
        gateway.state.withLock { [first] in $0.details = [first, done] }
        let notes = Mutex<[String]>([])
        let end = try await gateway.serve { client in
            var watcher = JobWatcher(client: client, jobID: "j", verb: "wait")
            watcher.onPause = { note in notes.withLock { $0.append(note) } }
            return try await watcher.end()
        }
        #expect(end.summary.state == "SUCCEEDED")
        #expect(
            notes.withLock { $0 } == [
                "job j is paused by ada, and waited for still; qat-client resume j"
            ]
        )
    }

    @Test func secondsThatCountDownAreNoNews() {
        let first = Self.note("is kept back for another 30 s")
        #expect(first.isNews(after: nil))
        #expect(!Self.note("is kept back for another 25 s").isNews(after: first))
        #expect(Self.note("waits for train-1").isNews(after: Self.note("waits for train-2")))
        let blocked = WaitNote(jobID: "j", state: "BLOCKED", reason: first.reason)
        #expect(blocked.isNews(after: first))
        #expect(WaitNote(Self.summary("RUNNING", "waits")) == nil)
        #expect(WaitNote(Self.summary("QUEUED", "")) == nil)
    }

    private func printed(_ style: EventPrinter.Style, _ body: (EventPrinter) -> Void) -> String {
        var text = ""
        let printer = EventPrinter(style) { text += $0 }
        body(printer)
        printer.finish()
        return text
    }

    @Test func pipesGetALineAndScriptsAnObject() {
        let plain = printed(.plain) { printer in
            printer.labels = ["j": "qat"]
            printer.print(Self.state(1, "QUEUED"))
            printer.print(Self.note("no worker\u{1B} is registered"))
            printer.print(Self.state(2, "RUNNING"))
            // It began to run while it was asked about.
            printer.print(Self.note("waits for train-1"))
        }
        #expect(plain == "qat: QUEUED\nqat: QUEUED  no worker\\u{1b} is registered\nqat: RUNNING\n")
        let json = printed(.json) { $0.print(Self.note("no worker")) }
        #expect(
            json == #"{"job_id":"j","state":"QUEUED","type":"wait","wait_reason":"no worker"}"#
                + "\n"
        )
    }

    private static let clear = "\r\u{1B}[K"

    /// The bottom line, as long as nothing runs; a reason in place of the last one.
    @Test func aTerminalHasItAsTheLiveLine() {
        let text = printed(.live(columns: { 80 })) { printer in
            printer.print(Self.state(1, "QUEUED"))
            printer.print(Self.note("no worker for train jobs is registered"))
            printer.print(Self.note("waits for train-1 to become free"))
            printer.print(Self.state(2, "RUNNING"))
        }
        #expect(
            text == "QUEUED\n\(Self.clear)QUEUED  no worker for train jobs is registered"
                + "\(Self.clear)QUEUED  waits for train-1 to become free\(Self.clear)RUNNING\n"
        )
    }

    @Test func theBarOfAJobThatRunsGoesBeforeAnothersReason() {
        let progress = JobProgress(step: 1, totalSteps: 2, phase: "train")
        let text = printed(.live(columns: { 80 })) { printer in
            printer.labels = ["a": "ptq", "b": "qat"]
            printer.print(Self.note("waits for quant-1", job: "b"))
            printer.print(Self.state(1, "RUNNING", job: "a"))
            printer.print(JobEvent(jobID: "a", seq: 2, type: .progress, progress: progress))
            printer.print(Self.note("waits for quant-2", job: "b"))
            printer.print(Self.state(3, "SUCCEEDED", job: "a"))
        }
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.count == 3, "\(lines)")
        #expect(lines[0].hasSuffix("qat  QUEUED  waits for quant-1\(Self.clear)ptq: RUNNING"))
        #expect(
            lines[1].contains("\(Self.clear)ptq  RUNNING  ") && lines[1].hasSuffix("ptq: SUCCEEDED")
        )
        // What was heard of while the bar stood there.
        #expect(lines[2] == "qat  QUEUED  waits for quant-2")
    }

    @Test(
        arguments: [
            (40, "quant…  waits for the outputs of job:p…"),
            (80, "quantize-aware-training-a…  waits for the outputs of job:ptq/model"),
            (
                140,
                "quantize-aware-training-and-more  QUEUED  waits for the outputs of job:ptq/model  "
                    + "and 2 more wait"
            ),
        ] as [(Int, String)]
    )
    func itFitsTheTerminal(columns: Int, expected: String) {
        let line = ProgressLine.waiting(
            label: "quantize-aware-training-and-more",
            Self.note("waits for the outputs of job:ptq/model"),
            others: 2,
            columns: columns
        )
        #expect(line == expected)
        #expect(DisplayWidth.columns(line) < columns)
    }
}
