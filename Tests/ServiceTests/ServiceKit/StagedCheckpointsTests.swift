internal import Foundation
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// What of a training's checkpoints lies on the worker's disk beside what its child keeps, and what goes first.
@Suite(.timeLimit(.minutes(5)))
struct StagedCheckpointsTests {
    private let gateway: LeaseGateway
    private var folder: String { gateway.folder.home.path + "/job-1" }

    init() throws { gateway = try LeaseGateway() }

    /// A child that writes checkpoints, of which it keeps the newest alone, and counts after each how many are
    /// set aside.
    private func checkpoints(_ steps: ClosedRange<Int>) -> String {
        """
        for step in \(steps.map(String.init).joined(separator: " ")); do
            name=$(printf step-%08d $step)
            rm -rf \(folder)/checkpoints/step-*
            mkdir -p \(folder)/checkpoints/$name
            echo weights-$step > \(folder)/checkpoints/$name/weights.bin
            printf '{"type":"checkpoint","step":%d,"message":"%s"}\\n' $step $name
            for try in $(seq 200); do test -d \(folder)/upload/$name && break; sleep 0.1; done
            ls \(folder)/upload | wc -l >> \(gateway.folder.home.path)/counts
        done

        """
    }

    private var counts: [Int] {
        let text = try? String(
            contentsOfFile: gateway.folder.home.path + "/counts",
            encoding: .utf8
        )
        return text?.split(separator: "\n").compactMap {
            Int($0.trimmingCharacters(in: .whitespaces))
        } ?? []
    }

    private var steps: [UInt64] { gateway.state.withLock { $0.checkpoints.map(\.step) } }

    private let success = #"printf '{"type":"result","json":"{}"}\n'"#

    /// Seen: after 70 s without a gateway 15 GB of eleven checkpoints lay there, and the disk was full.
    @Test(arguments: ["away", "full"])
    func anOutageKeepsTheNewestAndNoMore(what: String) async throws {
        gateway.state.withLock { state in
            state.isAway = what == "away"
            state.isFull = what == "full"
        }
        let gateway = gateway
        let back = Task {
            while counts.count < 8 { try await Task.sleep(for: .milliseconds(10)) }
            gateway.state.withLock { state in
                state.isAway = false
                state.isFull = false
            }
        }
        let end = try await gateway.run(
            checkpoints(1...8) + "read order; exit 75",
            cancelledWhen: { $0.checkpoints.last?.step == 8 }
        )
        try await back.value
        #expect(end == .reported(isDone: false))
        #expect(counts.count == 8 && counts.allSatisfy { (1...2).contains($0) }, "\(counts)")
        // What was stale by then goes first only if the gateway was just taking it.
        #expect(steps.last == 8 && steps.count <= 2, "\(steps)")
        #expect(!FileManager.default.fileExists(atPath: folder + "/upload"))
    }

    /// The time of a worker that stops is the newest checkpoint's.
    @Test func aStaleUploadGivesWayAtTheEnd() async throws {
        let gateway = gateway
        gateway.state.withLock { $0.holdsUploads = true }
        let order = Task {
            while gateway.state.withLock({ $0.uploads }) < 2 {
                try await Task.sleep(for: .milliseconds(10))
            }
            gateway.state.withLock { $0.holdsUploads = false }
        }
        let end = try await gateway.run(
            checkpoints(1...1) + "read order; " + checkpoints(2...2) + "exit 75",
            cancelledWhen: { $0.uploads == 1 }
        )
        order.cancel()
        try? await order.value
        #expect(end == .reported(isDone: false))
        #expect(steps == [2])
        #expect(gateway.warnings.all.isEmpty, "\(gateway.warnings.all)")
    }

    /// Seen: nearly every training that succeeded warned that its last checkpoint was not stored.
    @Test func aSuccessWarnsOfNoCheckpoint() async throws {
        gateway.state.withLock { $0.holdsUploads = true }
        #expect(try await gateway.run(checkpoints(1...2) + success) == .reported(isDone: true))
        #expect(steps.isEmpty)
        #expect(gateway.warnings.all.isEmpty, "\(gateway.warnings.all)")
    }

    /// What cannot be stored for good is warned of.
    @Test func aRefusalIsWarnedOf() async throws {
        gateway.state.withLock {
            $0.checkpointRefusal = RPCError(.invalidArgument, "step 2 is beyond the job's")
        }
        _ = try await gateway.run(checkpoints(2...2) + "exit 75")
        let warning = try #require(gateway.warnings.all.first)
        #expect(warning.contains("checkpoint step-00000002 is not stored: "))
        #expect(warning.contains("beyond the job's"))
    }

    /// Seen: 95 MB to 13 GB each of folders that nobody would go on with, kept with the job for a week.
    @Test(arguments: ["succeeds", "is stopped", "fails"])
    func whatIsHalfWrittenGoes(attempt: String) async throws {
        let half = [".tmp-step-00000004", ".incoming"].map { "\(folder)/checkpoints/\($0)" }
        for path in half + ["\(folder)/upload/step-00000001"] {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true
            )
        }
        let test =
            half.map { "test ! -e \($0) || exit 3" } + ["test ! -e \(folder)/upload || exit 3"]
        let made = "mkdir -p \(folder)/checkpoints/step-00000001 \(half[0])\n"
        let end =
            switch attempt {
            case "succeeds": success
            case "is stopped": "exit 75"
            default:
                #"printf '{"type":"error","reason":"USER_ERROR","message":"no"}\n'; exit 1"#
            }
        _ = try await gateway.run(test.joined(separator: "\n") + "\n" + made + end)
        let last = try #require(gateway.state.withLock { $0.ends.last })
        #expect(last.outcome != .failed || last.reason == "USER_ERROR", "\(last)")
        // As the loop does after an attempt.
        LeaseLoop.clean(folder, keepsCheckpoints: attempt != "succeeds")
        #expect(!FileManager.default.fileExists(atPath: half[0]))
        let isWholeThere = FileManager.default.fileExists(
            atPath: "\(folder)/checkpoints/step-00000001"
        )
        #expect(isWholeThere == (attempt != "succeeds"))
    }
}
