internal import ArgumentParser
internal import Foundation
internal import Protocol
internal import Synchronization
internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md, Watching: verbs that wait live through any number of outages of two minutes each.
///
/// Seen: `wait` ended at a gateway's first restart, `watch` and `logs --follow` at the second within
/// whatever time, if the job was quiet between the two.
@Suite struct OutageTests {
    /// What waits, and what people type to go on with it.
    enum Wait: String, CaseIterable {
        case watch, wait, logs, watchPipeline, waitPipeline

        var verb: String {
            switch self {
            case .watch, .watchPipeline: "watch"
            case .wait, .waitPipeline: "wait"
            case .logs: "logs"
            }
        }

        func run(_ client: RPCClient, _ patience: Patience) async throws {
            switch self {
            case .watch:
                #expect(try await follow(.job("j"), client, patience) == .succeeded)
            case .wait:
                let ended = try await WaitCourse.end(of: .job("j"), client, patience)
                #expect(ended.status == .succeeded)
            case .logs:
                let command = try LogsCommand.parse(["j", "--follow"])
                #expect(try await command.copy("j", client, patience) == .succeeded)
            case .watchPipeline:
                #expect(try await follow(.pipeline("p"), client, patience) == .succeeded)
            case .waitPipeline:
                let ended = try await WaitCourse.end(of: .pipeline("p"), client, patience)
                #expect(ended.status == .succeeded)
            }
        }

        private func follow(
            _ target: JobTarget,
            _ client: RPCClient,
            _ patience: Patience
        ) async throws -> qat_client.ExitStatus {
            let watcher = TargetWatcher(client: client, target: target, patience: patience)
            return try await watcher.end { _ in }.status
        }
    }

    private static func event(_ seq: UInt64, _ state: String = "QUEUED") -> JobEvent {
        JobEvent(jobID: "j", seq: seq, type: .state, state: state)
    }

    private static func gateway(_ playbacks: [ScriptedGateway.Playback]) throws -> ScriptedGateway {
        var job = JobSummary(jobID: "a")
        job.pipelineID = "p"
        return try ScriptedGateway(playbacks: playbacks, jobs: [job])
    }

    private static let ending = ScriptedGateway.Playback(
        events: [event(1), event(2, "SUCCEEDED")]
    )

    /// Each connection and each outage takes long, and the job tells nothing new, or nothing at all.
    @Test(arguments: Wait.allCases, [true, false])
    func aWaitLivesThroughManyOutages(_ wait: Wait, isTold: Bool) async throws {
        let quiet = ScriptedGateway.Playback(
            events: isTold ? [Self.event(1)] : [],
            error: ScriptedGateway.loss,
            lasts: .seconds(130),
            outage: .seconds(100)
        )
        let first = ScriptedGateway.Playback(
            events: [Self.event(1)],
            error: ScriptedGateway.loss,
            outage: .seconds(100)
        )
        let gateway = try Self.gateway([first, quiet, quiet, quiet, Self.ending])
        try await gateway.serve { try await wait.run($0, gateway.patience) }
    }

    /// A job without a log and one that says nothing are lost sight of by their first connection already.
    @Test(arguments: [Wait.logs, .wait, .watchPipeline, .waitPipeline])
    func aWaitForAJobThatHasSaidNothingLivesOnToo(_ wait: Wait) async throws {
        let quiet = ScriptedGateway.Playback(
            events: [],
            error: ScriptedGateway.loss,
            lasts: .seconds(130),
            outage: .seconds(100)
        )
        let gateway = try Self.gateway([quiet, quiet, Self.ending])
        try await gateway.serve { try await wait.run($0, gateway.patience) }
    }

    /// A gateway that drains ends its streams as if all were well.
    @Test(arguments: Wait.allCases)
    func aWaitLivesThroughDrains(_ wait: Wait) async throws {
        let drain = ScriptedGateway.Playback(
            events: [Self.event(1)],
            lasts: .seconds(130),
            outage: .seconds(100)
        )
        let gateway = try Self.gateway([drain, drain, drain, Self.ending])
        try await gateway.serve { try await wait.run($0, gateway.patience) }
    }

    @Test(arguments: Wait.allCases)
    func anOutageThatIsTooLongEndsItWithTheJobsName(_ wait: Wait) async throws {
        let loss = ScriptedGateway.Playback(
            events: [Self.event(1)],
            error: ScriptedGateway.loss,
            outage: .seconds(130)
        )
        let gateway = try Self.gateway([loss, Self.ending])
        let error = await #expect(throws: ClientError.self) {
            try await gateway.serve { try await wait.run($0, gateway.patience) }
        }
        #expect(error?.status == .unreachable)
        let line = error?.lines.first ?? ""
        let id = wait.rawValue.hasSuffix("Pipeline") ? "a" : "j"
        let words = "job \(id) is unaffected, continue with \"qat-client \(wait.verb) \(id)"
        #expect(line.contains(words), "\(line)")
    }

    /// A gateway that answers and tells nothing more, as it does to who follows too much.
    private static let refused = ScriptedGateway.Playback(
        events: [],
        error: RPCError(.unavailable, "48 connections of ada follow something", processed: .no)
    )

    /// Seen: the job was cancelled, and `wait` and `logs --follow` went on without a word for 190 s.
    @Test(arguments: [Wait.wait, .logs, .watchPipeline, .waitPipeline])
    func whatCannotBeFollowedIsAskedAboutUntilItsEnd(_ wait: Wait) async throws {
        let gateway = try Self.gateway([Self.refused])
        let states = Array(repeating: "RUNNING", count: 40) + ["SUCCEEDED"]
        gateway.state.withLock {
            $0.details = states.map { JobDetail(summary: JobSummary(jobID: "j", state: $0)) }
        }
        try await gateway.serve { try await wait.run($0, gateway.patience) }
        let (time, tries) = gateway.state.withLock {
            ($0.time, $0.watches.count + $0.logReads.count)
        }
        // Beyond two minutes, each time up to five seconds later.
        #expect(time > .seconds(120) && time < .seconds(220), "\(time)")
        #expect((20...60).contains(tries))
    }

    @Test func itIsSaidThatAJobIsOnlyAskedAbout() throws {
        let error = try #require(Self.refused.error)
        #expect(error.isRefusalForNow && !ScriptedGateway.loss.isRefusalForNow)
        let line = RefusalNote(.job("j")).sentence(error)
        #expect(
            line == "job j cannot be followed, and is asked about now and then: "
                + "48 connections of ada follow something"
        )
    }

    /// Who asks for the events themselves is told that there are none.
    @Test func aWatchThatCannotBeginEndsAndSaysWhy() async throws {
        let gateway = try Self.gateway([Self.refused])
        let error = await #expect(throws: ClientError.self) {
            try await gateway.serve { try await Wait.watch.run($0, gateway.patience) }
        }
        #expect(error?.status == .unreachable)
        #expect(error?.lines.first?.contains("48 connections of ada") == true)
        #expect(gateway.state.withLock { $0.time } == .zero)
    }

    /// Without a gateway there is nothing to wait for: nobody knows whether there is such a job.
    @Test(arguments: Wait.allCases)
    func aGatewayThatNeverAnsweredIsNotWaitedFor(_ wait: Wait) async throws {
        let gateway = try Self.gateway([Self.ending])
        gateway.state.withLock { $0.awayUntil = .seconds(1) }
        let error = await #expect(throws: ClientError.self) {
            try await gateway.serve { try await wait.run($0, gateway.patience) }
        }
        #expect(error?.status == .unreachable)
        #expect(gateway.state.withLock { $0.time } == .zero)
    }
}
