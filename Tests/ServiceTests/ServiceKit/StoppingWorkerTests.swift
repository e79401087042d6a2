internal import Foundation
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// What a worker that is told to stop does while its gateway is away: it ends in time, and what it has
/// finished is not lost.
@Suite(.timeLimit(.minutes(5)))
struct StoppingWorkerTests {
    private let gateway: LeaseGateway
    private var folder: String { gateway.folder.home.path + "/job-1" }

    init() throws { gateway = try LeaseGateway() }

    private var ends: [CompleteLeaseRequest.Outcome] {
        gateway.state.withLock { $0.ends.map(\.outcome) }
    }

    /// A child that makes an output, counts how often it ran, and is done.
    private func child(_ model: String = "a model") -> String {
        """
        echo ran >> \(gateway.folder.home.path)/runs
        mkdir -p \(folder)/output/model
        printf '\(model)' > \(folder)/output/model/m.gguf
        printf '{"type":"result","json":"{\\"loss\\":1}"}\\n'
        """
    }

    private var runs: Int {
        let text = try? String(contentsOfFile: gateway.folder.home.path + "/runs", encoding: .utf8)
        return text?.split(separator: "\n").count ?? 0
    }

    /// Finishes the job while the gateway is away, and is stopped as it waits.
    private func stopWhilePublishing() async throws {
        gateway.state.withLock { $0.isAway = true }
        let start = ContinuousClock.now
        let end = try await gateway.run(
            child(),
            gatewayLimit: .seconds(1),
            // The child's end is what comes before a publication is tried.
            cancelledWhen: { [folder] state in
                state.refusals > 0
                    && FileManager.default.fileExists(atPath: folder + "/finished.json")
            }
        )
        #expect(end == .abandoned && ends.isEmpty && runs == 1)
        // It waited for ever. Here it may wait one second, and a connection takes ten at most; two
        // cores that run every test at once, beside builds, take their time for the rest (69 s were seen).
        #expect(ContinuousClock.now - start < .seconds(300))
        gateway.state.withLock { $0.isAway = false }
    }

    @Test func finishedOutputsArePublishedAfterTheRestart() async throws {
        try await stopWhilePublishing()
        #expect(
            try String(contentsOfFile: folder + "/output/model/m.gguf", encoding: .utf8)
                == "a model"
        )
        let end = try await gateway.run(child("another"))
        #expect(end == .reported(isDone: true) && ends == [.succeeded] && runs == 1)
        let sent = try #require(gateway.state.withLock { $0.ends.first })
        #expect(String(decoding: sent.resultsJSON, as: UTF8.self) == #"{"loss":1}"#)
        #expect(sent.outputs.map(\.name) == ["model/m.gguf"])
        #expect(gateway.state.withLock { $0.blobs[.of("a model")] } == Array("a model".utf8))
    }

    @Test func outputsThatChangedMeanwhileAreMadeAgain() async throws {
        try await stopWhilePublishing()
        try Data("a m0del".utf8).write(to: URL(fileURLWithPath: folder + "/output/model/m.gguf"))
        #expect(try await gateway.run(child()) == .reported(isDone: true))
        #expect(runs == 2 && gateway.state.withLock { $0.blobs[.of("a model")] } != nil)
    }

    @Test func outputsOfAnotherTaskAreNotTaken() async throws {
        try await stopWhilePublishing()
        #expect(try await gateway.run(child(), spec: #"{"seed":2}"#) == .reported(isDone: true))
        #expect(runs == 2)
        // A file that is missing, or one too many, is another result, too.
        let input = Input(
            pointer: "/model",
            source: "m",
            files: [InputFile(path: "m", digest: .of("x"), size: 1)]
        )
        gateway.state.withLock { $0.blobs[.of("x")] = Array("x".utf8) }
        #expect(try await gateway.run(child(), inputs: [input]) == .reported(isDone: true))
        #expect(runs == 3)
    }

    /// A worker that waits for a job says that it goes.
    @Test func aWorkerSaysGoodbye() async throws {
        let jobs = gateway.folder.home.path + "/state/jobs"
        try await gateway.idle(room: DiskRoom(path: jobs) { _ in 1 << 30 }) { !$0.waits.isEmpty }
        let waits = gateway.state.withLock { $0.waits }
        #expect(waits.last?.stopping == true)
        #expect(waits.dropLast().allSatisfy { !$0.stopping })
    }

    /// A lease that cannot be handed back is given up in time; the checkpoint stays on this machine.
    @Test func aCheckpointThatCannotBeStoredStays() async throws {
        let name = "step-00000020"
        let script = """
            mkdir -p \(folder)/checkpoints/\(name)
            echo weights > \(folder)/checkpoints/\(name)/weights.bin
            printf '{"type":"checkpoint","step":20,"message":"\(name)"}\\n'
            read order; exit 75
            """
        gateway.state.withLock { $0.isAway = true }
        let start = ContinuousClock.now
        let end = try await gateway.run(
            script,
            gatewayLimit: .seconds(12),
            cancelledWhen: { $0.refusals > 1 }
        )
        #expect(end == .abandoned && ends.isEmpty)
        #expect(ContinuousClock.now - start < .seconds(90))
        #expect(
            FileManager.default.fileExists(atPath: folder + "/checkpoints/\(name)/weights.bin")
        )
    }

    /// While nobody stops the daemon, it waits for its gateway as long as that takes.
    @Test func aWorkerThatIsNotStoppedWaits() async throws {
        gateway.state.withLock { $0.isAway = true }
        let gateway = gateway
        let back = Task {
            while gateway.state.withLock({ $0.refusals < 4 }) {
                try await Task.sleep(for: .milliseconds(20))
            }
            gateway.state.withLock { $0.isAway = false }
        }
        let end = try await gateway.run(child(), gatewayLimit: .milliseconds(1))
        try await back.value
        #expect(end == .reported(isDone: true) && ends == [.succeeded])
    }
}
