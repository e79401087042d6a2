internal import Foundation
internal import Kernels
internal import Synchronization
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// How a compute child hears a stop, and what it tells while it has nothing to say.
@Suite struct ComputeReporterTests {
    private let home: TemporaryHome
    private let path: String
    private let reporter: ComputeReporter

    init() throws {
        home = try TemporaryHome()
        path = try home.write("events.jsonl", "")
        reporter = ComputeReporter(output: try #require(FileHandle(forWritingAtPath: path)))
    }

    private var told: [ComputeEvent.Kind] {
        get throws {
            try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
                try ComputeEvent(line: String($0)).type
            }
        }
    }

    /// Whether a stop ends the process where it is.
    private var endsAtOnce: Bool {
        var ends = false
        reporter.requestStop { ends = true }
        #expect(reporter.isStopRequested)
        return ends
    }

    @Test func aStopWaitsOnlyForWorkThatACheckpointKeeps() throws {
        #expect(endsAtOnce)
        reporter.holdWork(true)
        #expect(!endsAtOnce)
        reporter.holdWork(false)
        #expect(endsAtOnce)
        // Results that are told are done: what follows is the end.
        try reporter.result(["x": 1])
        #expect(!endsAtOnce)
    }

    @Test func computingIsASignOfLife() throws {
        #expect(!reporter.tellLife())
        for threads in [1, 2] {
            let team = ThreadTeam(threadCount: threads)
            reporter.follow { team.pieceCount }
            #expect(!reporter.tellLife())
            team.parallel { _ in }
            #expect(reporter.tellLife() && !reporter.tellLife())
            // Small pieces stay with one thread.
            team.parallelFor(count: 1) { _ in }
            #expect(reporter.tellLife() && !reporter.tellLife())
            team.parallelFor(count: 100) { _ in }
            #expect(reporter.tellLife() && !reporter.tellLife())
        }
        #expect(try told == Array(repeating: .alive, count: 6))
    }
}
