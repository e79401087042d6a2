internal import Foundation
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// How much of a job's progress is told, by docs/JOBS.md.
struct ProgressPaceTests {
    private static func progress(_ phase: String, _ step: Int) -> ComputeEvent {
        var event = ComputeEvent(.progress)
        event.phase = phase
        event.step = step
        return event
    }

    /// The steps that are told of events at given times, in milliseconds, and what waits at last.
    private static func told(
        _ events: [(phase: String, milliseconds: Int)]
    ) -> (steps: [Int], waiting: Int?) {
        var pace = ProgressPace()
        let start = ContinuousClock.now
        var steps: [Int] = []
        for (step, event) in events.enumerated() {
            let now = start + .milliseconds(event.milliseconds)
            if pace.wait(of: progress(event.phase, step), at: now) == nil { steps.append(step) }
        }
        return (steps, pace.take()?.step)
    }

    /// Seen: 3,038 events of 3,772 of a job were windows of text.
    @Test func aWindowASecondIsTold() {
        let windows = (0...30).map { ("generating text \($0)/3000", $0 * 100) }
        let (steps, waiting) = Self.told(windows)
        #expect(steps == [0, 10, 20, 30] && waiting == nil)
        let (few, last) = Self.told(Array(windows.prefix(10)))
        #expect(few == [0] && last == 9)
    }

    @Test func fourTrainingStepsASecondAreTold() {
        let (steps, waiting) = Self.told((0...100).map { ("train", $0 * 10) })
        #expect(steps == [0, 25, 50, 75, 100] && waiting == nil)
    }

    /// What is begun is told at once, however short the time; what it leaves behind is older.
    @Test func anotherPhaseIsToldAtOnce() {
        let (steps, waiting) = Self.told([
            ("quantize", 0), ("quantize", 1), ("export", 2), ("a: load", 3), ("b: load", 4),
            ("validating 1/3", 5), ("validating 2/3", 6), ("validating 3/3 more", 7),
        ])
        #expect(steps == [0, 2, 3, 4, 5, 7] && waiting == nil)
    }

    @Test func howLongSomethingWaitsIsWhatIsLeft() {
        var pace = ProgressPace()
        let start = ContinuousClock.now
        #expect(pace.wait(of: Self.progress("load", 1), at: start) == nil)
        let wait = pace.wait(of: Self.progress("load", 2), at: start + .milliseconds(300))
        #expect(wait == .milliseconds(700))
        // It was told by then: the next second begins.
        #expect(pace.take(at: start + .seconds(1))?.step == 2)
        let next = pace.wait(of: Self.progress("load", 3), at: start + .milliseconds(1500))
        #expect(next == .milliseconds(500))
    }

    private struct Reports {
        let home: TemporaryHome
        let reporter: ComputeReporter

        init() throws {
            home = try TemporaryHome()
            let path = try home.write("events.jsonl", "")
            reporter = ComputeReporter(output: try #require(FileHandle(forWritingAtPath: path)))
        }

        var events: [ComputeEvent] {
            get throws {
                try String(contentsOfFile: home.home.path + "/events.jsonl", encoding: .utf8)
                    .split(separator: "\n").map { try ComputeEvent(line: String($0)) }
            }
        }
    }

    /// The step that belongs to a metric, a line or a result is told before it.
    @Test func nothingOvertakesProgress() throws {
        let reports = try Reports()
        for step in 1...500 {
            reports.reporter.progress(phase: "train", step: step, of: 500)
            if step % 100 == 0 { try reports.reporter.metric(step: step, ["x": 1]) }
        }
        try reports.reporter.result(["x": 1])
        let events = try reports.events
        for (index, event) in events.enumerated() where event.type == .metric {
            #expect(events[index - 1].type == .progress && events[index - 1].step == event.step)
        }
        #expect(events.count { $0.type == .metric } == 5 && events.last?.type == .result)
        let steps = events.filter { $0.type == .progress }.compactMap(\.step)
        #expect(steps == steps.sorted() && steps.first == 1 && steps.last == 500)
    }

    /// A window that is followed by long work is told all the same.
    @Test(.timeLimit(.minutes(5)))
    func whatWaitsIsToldWhenItsTimeIsOver() async throws {
        let reports = try Reports()
        reports.reporter.progress(phase: "load 1/2", step: 0, of: 0)
        reports.reporter.progress(phase: "load 2/2", step: 0, of: 0)
        while try reports.events.count < 2 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(try reports.events.map(\.phase) == ["load 1/2", "load 2/2"])
    }

    /// Seen: step 0 of 0 of a job at step 360, while another worker made its text again.
    @Test func whatComesBeforeTheWorkIsAtTheStepOfTheCheckpoint() throws {
        let reports = try Reports()
        reports.reporter.progress(phase: "check inputs")
        reports.reporter.begin(at: 360, of: 600)
        reports.reporter.progress(phase: "generating text 1/9")
        reports.reporter.begin(at: 7, of: 0)
        reports.reporter.progress(phase: "load")
        let events = try reports.events
        #expect(events.map(\.step) == [0, 360, 0] && events.map(\.totalSteps) == [0, 600, 0])
    }
}
