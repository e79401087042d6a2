internal import Protocol
internal import Testing
@testable internal import qat_client

@Suite struct ProgressLineTests {
    private let progress = JobProgress(
        step: 50,
        totalSteps: 200,
        loss: 2.34567,
        learningRate: 1e-5,
        tokensPerSecond: 1234.5,
        etaSeconds: 192,
        precision: "mxfp6_e2m3",
        phase: "train"
    )

    @Test func rendersABarAndAllNumbers() {
        #expect(
            ProgressLine.live(state: "RUNNING", progress, columns: 120)
                == "RUNNING  ██████░░░░░░░░░░░░░░░░░░  step 50/200 25%  loss 2.3457  1234 tokens/s  "
                + "ETA 3m12s  mxfp6_e2m3  train"
        )
    }

    @Test func rendersPlainNumbersForPipes() {
        #expect(
            ProgressLine.plain(progress)
                == "step 50/200 25%  loss 2.3457  1234 tokens/s  ETA 3m12s  mxfp6_e2m3  train"
        )
    }

    @Test func leavesOutWhatIsNotKnown() {
        #expect(ProgressLine.plain(JobProgress()) == "")
        #expect(ProgressLine.plain(JobProgress(phase: "loading")) == "loading")
        let empty = "QUEUED  " + String(repeating: "░", count: 24)
        #expect(ProgressLine.live(state: "QUEUED", JobProgress(), columns: 80) == empty)
    }

    @Test(arguments: [10, 20, 40, 80])
    func neverReachesTheTerminalsEdge(columns: Int) {
        #expect(ProgressLine.live(state: "RUNNING", progress, columns: columns).count < columns)
    }

    @Test(arguments: [
        (40, "step 50/200 25%  loss 2.3457  ETA 3m12s"),
        (
            80,
            "RUNNING  █░░░░░░  step 50/200 25%  loss 2.3457  1234 tokens/s  ETA 3m12s  train"
        ),
    ])
    func whatMattersMostStaysOnNarrowTerminals(columns: Int, expected: String) {
        let line = ProgressLine.live(state: "RUNNING", progress, columns: columns)
        #expect(line == expected)
        #expect(DisplayWidth.columns(line) < columns)
    }

    @Test func namesWhatElseGoesOnEvenWhereRoomIsShort() {
        var validating = progress
        validating.phase = "validating 3/16"
        for columns in [40, 80, 140] {
            let line = ProgressLine.live(state: "RUNNING", validating, columns: columns)
            #expect(line.contains("step 50/200") && line.contains("validating 3/16"), "\(line)")
            #expect(DisplayWidth.columns(line) < columns)
        }
    }

    /// A long phase is cut, not left out: at 40 columns an evaluation said only how far it was.
    @Test func aLongPhaseIsCut() {
        let evaluating = JobProgress(
            step: 2,
            totalSteps: 12,
            phase: "a model with a long label: hamlet.txt"
        )
        let line = ProgressLine.live(state: "RUNNING", evaluating, columns: 40)
        #expect(line.contains("step 2/12 16%  a model with"), "\(line)")
        #expect(DisplayWidth.columns(line) < 40)
    }

    @Test func aWideTerminalShowsTheCourseOfTheLoss() {
        let line = ProgressLine.live(
            state: "RUNNING",
            progress,
            losses: [4, 3, 2.5, 2.25],
            columns: 140
        )
        // Eighths of the way from 2.25 to 4: 1.75/1.75, 0.75/1.75, 0.25/1.75, 0.
        #expect(line.contains("loss 2.3457  █▄▂▁  1234 tokens/s"), "\(line)")
    }

    /// By hand; 0.29 times a hundred is less than 29 in floating point.
    @Test(arguments: [(29, 100, 29), (57, 100, 57), (2, 3, 66), (0, 7, 0), (9, 7, 100)])
    func percentsAreWholeNumbers(step: UInt64, total: UInt64, percent: Int) {
        var progress = progress
        progress.step = step
        progress.totalSteps = total
        #expect(ProgressLine.plain(progress).contains("step \(step)/\(total) \(percent)%"))
    }

    @Test func aSparklineShowsAnyLengthInLittleRoom() {
        #expect(Sparkline.text([1]) == "" && Sparkline.text([]) == "")
        #expect(Sparkline.text([1, 1, .nan]) == "▁▁")
        // Their difference is no finite number.
        #expect(Sparkline.text([1e308, -1e308, 1.7e308]) == "▆▁█")
        var course = LossCourse()
        for step in 0..<1000 { course.append(Double(step)) }
        course.append(.infinity)
        #expect((8...18).contains(course.values.count))
        #expect(course.values == course.values.sorted())
        // The mean of all means, by the stretches they stand for, is that of the values: 499.5.
        #expect(abs((course.values.first ?? 0) - 31.5) < 32)
    }

    @Test func staysWithinTheBarPastTheEnd() {
        let past = JobProgress(step: 300, totalSteps: 200)
        let line = ProgressLine.live(state: "RUNNING", past, columns: 120)
        #expect(
            line == "RUNNING  " + String(repeating: "█", count: 24) + "  step 300/200 100%"
        )
    }

    @Test(arguments: [
        (0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (192, "3m12s"), (3600, "1h00m"),
        (90_000, "1d01h"), (-1, "?"), (.infinity, "?"), (.nan, "?"),
    ])
    func writesDurationsAsPeopleDo(seconds: Double, expected: String) {
        #expect(Quantities.duration(seconds: seconds) == expected)
    }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (144_810_000, "144.8 MB"),
            (3_000_000_000_000, "3.0 TB"),
        ] as [(UInt64, String)]
    )
    func writesSizesAsPeopleDo(count: UInt64, expected: String) {
        #expect(Quantities.bytes(count) == expected)
    }
}

@Suite struct EventPrinterTests {
    private func print(_ events: [JobEvent], _ style: EventPrinter.Style) -> String {
        var text = ""
        let printer = EventPrinter(style) { text += $0 }
        events.forEach(printer.print)
        printer.finish()
        return text
    }

    private let events = [
        JobEvent(jobID: "j", seq: 1, type: .state, state: "RUNNING"),
        JobEvent(
            jobID: "j",
            seq: 2,
            timeUnixMs: 1500,
            type: .progress,
            progress: JobProgress(step: 1, totalSteps: 2, loss: .nan)
        ),
        JobEvent(jobID: "j", seq: 3, type: .metric, metricsJSON: Array(#"{"b":1.5,"a":2}"#.utf8)),
        JobEvent(jobID: "j", seq: 4, type: .log, message: "one\ntwo"),
        JobEvent(
            jobID: "j",
            seq: 5,
            type: .state,
            state: "FAILED",
            reason: "DIVERGED",
            message: "loss is NaN"
        ),
    ]

    @Test func writesALinePerEventForPipes() {
        #expect(
            print(events, .plain) == """
                RUNNING
                step 1/2 50%  loss nan
                a 2  b 1.5
                log: one
                log: two
                FAILED  DIVERGED  loss is NaN

                """
        )
    }

    private func progress(
        _ phase: String,
        _ step: Int,
        of total: Int,
        at seconds: Double,
        job: String = "j"
    ) -> JobEvent {
        JobEvent(
            jobID: job,
            timeUnixMs: 1_800_000_000_000 + Int64(seconds * 1000),
            type: .progress,
            progress: JobProgress(
                step: UInt64(step),
                totalSteps: UInt64(total),
                phase: phase
            )
        )
    }

    /// docs/CLIENT.md, Watching: without a terminal, a line for each phase, then one for ten seconds
    /// or a tenth of the work.
    ///
    /// Seen: over 1,000 lines of a pipeline of three seconds.
    @Test func pipesGetALineForWhatIsNewAndFewForTheRest() {
        var events = [progress("load", 0, of: 0, at: 0)]
        for window in 1...300 {
            events.append(progress("baseline \(window)/300", 0, of: 200, at: Double(window) / 1000))
        }
        for step in 1...200 {
            let time = 1 + Double(step) / 100
            events.append(progress("train", step, of: 200, at: time))
            for window in 1...4 {
                events.append(progress("validating \(window)/4", step, of: 200, at: time))
            }
            var metric = JobEvent(
                jobID: "j",
                timeUnixMs: events.last?.timeUnixMs ?? 0,
                type: .metric,
                metricsJSON: Array(#"{"validation_perplexity":2.5}"#.utf8)
            )
            metric.progress = JobProgress(step: UInt64(step))
            events.append(metric)
        }
        let lines = print(events, .plain).split(separator: "\n").map(String.init)
        let steps = lines.filter { $0.hasPrefix("step ") && $0.hasSuffix("train") }
        #expect(lines.prefix(2) == ["load", "step 0/200 0%  baseline 1/300"])
        #expect(steps.first == "step 1/200 0%  train")
        #expect(lines.contains { $0.hasPrefix("step 200/200 100%") })
        #expect(lines.filter { $0.contains("validating 1/4") }.count == 1)
        // The first, one for each tenth, and the last.
        #expect((11...12).contains(lines.filter { $0.contains("validation_perplexity") }.count))
        #expect(lines.count < 40, "\(lines)")
        // Scripts get them all.
        #expect(print(events, .json).split(separator: "\n").count == events.count)
    }

    @Test func aLongPhaseIsToldOfEveryTenSeconds() {
        let events = (0...600).map {
            progress("validating \($0)/9000", 5, of: 100, at: Double($0) / 10)
        }
        let lines = print(events, .plain).split(separator: "\n")
        #expect(
            lines.map { $0.split(separator: " ").last } == [
                "0/9000", "100/9000", "200/9000", "300/9000", "400/9000", "500/9000", "600/9000",
            ]
        )
    }

    /// Each job, and each attempt, has lines of its own; what is rare has them all.
    @Test func whatIsRareIsAlwaysTold() {
        func row(_ label: String) -> JobEvent {
            JobEvent(
                jobID: "a",
                type: .metric,
                metricsJSON: Array(#"{"label":"\#(label)","perplexity":2}"#.utf8)
            )
        }
        let events = [
            progress("train", 1, of: 1000, at: 0, job: "a"),
            progress("train", 2, of: 1000, at: 0, job: "a"),
            progress("train", 3, of: 1000, at: 0, job: "b"), row("x"), row("y"),
            JobEvent(jobID: "a", type: .log, message: "m"),
            JobEvent(jobID: "a", type: .log, message: "m"),
            JobEvent(jobID: "a", type: .state, state: "RUNNING"),
            progress("train", 4, of: 1000, at: 0, job: "a"),
        ]
        #expect(
            print(events, .plain) == """
                step 1/1000 0%  train
                step 3/1000 0%  train
                x: perplexity 2
                y: perplexity 2
                log: m
                log: m
                RUNNING
                step 4/1000 0%  train

                """
        )
    }

    @Test func writesOneObjectPerLineForScripts() {
        let lines = print(events, .json).split(separator: "\n").map(String.init)
        #expect(
            lines == [
                #"{"job_id":"j","seq":1,"state":"RUNNING","time":"1970-01-01T00:00:00.000Z","type":"state"}"#,
                #"{"job_id":"j","loss":null,"seq":2,"step":1,"time":"1970-01-01T00:00:01.500Z","total_steps":2,"type":"progress"}"#,
                #"{"job_id":"j","metrics":{"a":2,"b":1.5},"seq":3,"time":"1970-01-01T00:00:00.000Z","type":"metric"}"#,
                #"{"job_id":"j","message":"one\ntwo","seq":4,"time":"1970-01-01T00:00:00.000Z","type":"log"}"#,
                #"{"job_id":"j","message":"loss is NaN","reason":"DIVERGED","seq":5,"state":"FAILED","time":"1970-01-01T00:00:00.000Z","type":"state"}"#,
            ]
        )
    }

    @Test func clearsTheBarBeforeOtherLinesOnATerminal() {
        let live = EventPrinter.Style.live(columns: { 60 })
        let text = print(Array(events.prefix(3)), live)
        let bar = "RUNNING  ████████████░░░░░░░░░░░░  step 1/2 50%  loss nan"
        #expect(text == "RUNNING\n\r\u{1B}[K\(bar)\r\u{1B}[Ka 2  b 1.5\n\(bar)\n", "\(text)")
        #expect(print(Array(events.prefix(2)), live).hasSuffix("\n"))
    }

    @Test func theBarStaysBelowLogLinesUntilTheJobEnds() {
        let text = print(events, .live(columns: { 60 }))
        let bar = "RUNNING  ████████████░░░░░░░░░░░░  step 1/2 50%  loss nan"
        let clear = "\r\u{1B}[K"
        #expect(text.contains("\(clear)log: one\nlog: two\n\(bar)"), "\(text)")
        #expect(text.hasSuffix("\(bar)\(clear)FAILED  DIVERGED  loss is NaN\n"), "\(text)")
    }

    @Test func aRowOfAnEvaluationIsALine() {
        let row =
            #"{"label":"PTQ","perplexity":72.754,"accuracy":0.25,"latency_ms":null,"#
            + #""memory_bytes":1000,"measurements":[{}]}"#
        func line(_ row: String) -> String {
            let bytes = Array(row.utf8)
            return print([JobEvent(jobID: "j", seq: 1, type: .metric, metricsJSON: bytes)], .plain)
        }
        #expect(line(row) == "PTQ: perplexity 72.754  accuracy 0.25\n")
        // A task of a later version.
        let other = #"{"label":"a","measurements":[{"task":"x","name":"score","value":0.5}]}"#
        #expect(line(other) == "a: score 0.5\n")
        #expect(line(#"{"label":"a","measurements":[]}"#) == "a: nothing measured\n")
    }

    @Test func linesOfOthersCannotSteerTheTerminal() {
        let event = JobEvent(
            jobID: "j",
            seq: 1,
            type: .log,
            message: "a\u{1B}]0;x\u{7}\nb",
        )
        #expect(print([event], .plain) == "log: a\\u{1b}]0;x\\u{7}\nlog: b\n")
    }
}
