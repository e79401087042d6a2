internal import Foundation
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// Attempts over real TLS with real child processes; only the gateway behind the wire is scripted.
@Suite(.timeLimit(.minutes(5)))
struct AttemptRunnerTests {
    private let gateway: LeaseGateway

    init() throws { gateway = try LeaseGateway() }

    private var ends: [CompleteLeaseRequest.Outcome] {
        gateway.state.withLock { $0.ends.map(\.outcome) }
    }

    /// A child that says it wrote a checkpoint of a step; `$root` is the job's folder.
    private func checkpoint(_ step: Int) -> String {
        let name = String(format: "step-%08d", step)
        return """
            mkdir -p \(gateway.folder.home.path)/job-1/checkpoints/\(name)
            echo weights-\(step) > \(gateway.folder.home.path)/job-1/checkpoints/\(name)/weights.bin
            printf '{"type":"checkpoint","step":\(step),"message":"\(name)"}\\n'

            """
    }

    /// The shell waits for the order to stop, and ends as a child that has stopped.
    private let waitForStop = "read order; exit 75"

    /// It sent 133 heartbeats in 40 s: a loop over a stream that had ended.
    @Test func aQuietAttemptSendsOneHeartbeatAnInterval() async throws {
        let end = try await gateway.run(
            #"sleep 3; printf '{"type":"result","json":"{}"}\n'"#,
            heartbeat: .seconds(1)
        )
        #expect(end == .reported(isDone: true))
        // Two or three intervals, and the phases fetch, run and publish, which are news.
        #expect((2...7).contains(gateway.state.withLock { $0.heartbeats }))
    }

    /// Seen: the log of a job that was killed three times, on two workers, ran on as if it were one run.
    @Test func theLogSaysWhereAnAttemptBegins() async throws {
        let script = """
            printf '{"type":"log","message":"model: m"}\\n'
            printf '{"type":"result","json":"{}"}\\n'
            """
        #expect(try await gateway.run(script) == .reported(isDone: true))
        let log = gateway.state.withLock { String(decoding: $0.log, as: UTF8.self) }
        #expect(log == "attempt 1 begins on worker train-1\nmodel: m\n")
    }

    @Test func checkpointsAreStoredWithTheJob() async throws {
        let script = checkpoint(20) + checkpoint(40) + waitForStop
        _ = try await gateway.run(script, cancelledWhen: { $0.checkpoints.last?.step == 40 })
        let newest = try #require(gateway.state.withLock { $0.checkpoints.last })
        #expect(newest.files.map(\.name) == ["weights.bin"])
        let bytes = gateway.state.withLock { $0.blobs[newest.files[0].digest] }
        #expect(bytes == Array("weights-40\n".utf8))
    }

    /// A daemon that stops hands its lease back, after the child's last checkpoint is stored.
    @Test func aStoppingDaemonHandsTheLeaseBack() async throws {
        let script = checkpoint(20) + "read order; " + checkpoint(33) + "exit 75"
        let end = try await gateway.run(script, cancelledWhen: { !$0.checkpoints.isEmpty })
        #expect(end == .reported(isDone: false))
        #expect(ends == [.released])
        #expect(gateway.state.withLock { $0.checkpoints.map(\.step) } == [20, 33])
    }

    @Test func anotherWorkerGoesOnFromTheStoredCheckpoint() async throws {
        let digest = SHA256Digest.of("weights-20\n")
        gateway.state.withLock { $0.blobs[digest] = Array("weights-20\n".utf8) }
        let stored = Checkpoint(
            step: 20,
            files: [OutputFile(name: "weights.bin", digest: digest, size: 11)]
        )
        let path = gateway.folder.home.path + "/job-1/checkpoints/step-00000020/weights.bin"
        let script = """
            test "$(cat \(path))" = weights-20 || exit 1
            printf '{"type":"result","json":"{}"}\\n'
            """
        let end = try await gateway.run(script, checkpoint: stored)
        #expect(end == .reported(isDone: true))
        #expect(ends == [.succeeded])
    }

    /// Seen: a good checkpoint in the store was not fetched where damaged ones of its step and later lay,
    /// and the training began again at step 0.
    @Test func aDamagedCheckpointHereIsFetchedAnew() async throws {
        let digest = SHA256Digest.of("weights-20\n")
        gateway.state.withLock { $0.blobs[digest] = Array("weights-20\n".utf8) }
        let stored = Checkpoint(
            step: 20,
            files: [OutputFile(name: "weights.bin", digest: digest, size: 11)]
        )
        let folder = gateway.folder.home.path + "/job-1/checkpoints"
        for name in ["step-00000020", "step-00000040"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/\(name)",
                withIntermediateDirectories: true
            )
            try Data("damaged 20\n".utf8).write(
                to: URL(filePath: "\(folder)/\(name)/weights.bin")
            )
        }
        let script = """
            test "$(cat \(folder)/step-00000020/weights.bin)" = weights-20 || exit 1
            test -d \(folder)/step-00000040 || exit 1
            printf '{"type":"result","json":"{}"}\\n'
            """
        let end = try await gateway.run(script, checkpoint: stored)
        #expect(end == .reported(isDone: true))
        #expect(ends == [.succeeded])
    }

    /// What this machine has is not fetched; what cannot be had does not end the job.
    @Test func aCheckpointThatIsGoneIsPassedOver() async throws {
        gateway.state.withLock { $0.blobs[.of("x")] = Array("other bytes".utf8) }
        let lost = Checkpoint(
            step: 20,
            files: [OutputFile(name: "weights.bin", digest: .of("x"), size: 1)]
        )
        let script = #"printf '{"type":"result","json":"{}"}\n'"#
        let end = try await gateway.run(script, checkpoint: lost)
        #expect(end == .reported(isDone: true))
    }

    @Test func aCancelIsReportedAfterTheLastCheckpoint() async throws {
        let script = checkpoint(20) + "read order; " + checkpoint(33) + "exit 75"
        let gateway = gateway
        let order = Task {
            while gateway.state.withLock({ $0.checkpoints.isEmpty }) {
                try await Task.sleep(for: .milliseconds(10))
            }
            gateway.state.withLock { $0.directive = .cancel }
        }
        let end = try await gateway.run(script)
        try await order.value
        #expect(end == .reported(isDone: false) && ends == [.cancelled])
        #expect(gateway.state.withLock { $0.checkpoints.last?.step } == 33)
    }

    /// Gives orders, each once the worker has the one before, and then lets the child go on, which waits for a file.
    private func give(_ orders: [HeartbeatResponse.Directive]) async throws {
        while gateway.state.withLock({ $0.known == nil }) {
            try await Task.sleep(for: .milliseconds(10))
        }
        for order in orders {
            gateway.state.withLock { $0.directive = order }
            while gateway.state.withLock({ $0.known != order }) {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        try Data().write(to: URL(filePath: gateway.folder.home.path + "/told"))
    }

    private var waitForAllOrders: String {
        "read order; until [ -e \(gateway.folder.home.path)/told ]; do sleep 0.1; done; "
    }

    /// docs/JOBS.md, Pause: the checkpoint is stored first, and handing the lease back is no end of the job; nor
    /// does it matter to the worker that the pause was taken back when its child has stopped.
    @Test(arguments: [[.pause], [.pause, .continue]] as [[HeartbeatResponse.Directive]])
    func aPauseHandsTheLeaseBackAfterTheLastCheckpoint(
        orders: [HeartbeatResponse.Directive]
    ) async throws {
        let told = Task { try await give(orders) }
        let end = try await gateway.run(
            checkpoint(20) + waitForAllOrders + checkpoint(33) + "exit 75"
        )
        try await told.value
        #expect(end == .reported(isDone: false))
        let sent = gateway.state.withLock { $0.ends }
        #expect(sent.map(\.outcome) == [.released])
        #expect(sent.first?.reason == "PAUSED_BY" && sent.first?.message == "stopped as asked")
        #expect(gateway.state.withLock { $0.checkpoints.last?.step } == 33)
    }

    /// Whoever cancels after a pause was asked for gets a cancelled job.
    @Test func aCancelAfterAPauseIsReportedAsOne() async throws {
        let told = Task { try await give([.pause, .cancel]) }
        let end = try await gateway.run(waitForAllOrders + "exit 75")
        try await told.value
        #expect(end == .reported(isDone: false) && ends == [.cancelled])
    }

    /// Work without a checkpoint, such as fetching inputs, is given up at once.
    @Test func aPauseWhileInputsAreFetchedHandsTheLeaseBack() async throws {
        let gateway = gateway
        let input = Input(
            pointer: "/model",
            source: "m",
            files: [InputFile(path: "m", digest: .of("never"), size: 5)]
        )
        let order = Task {
            while gateway.state.withLock({ $0.heartbeats < 1 }) {
                try await Task.sleep(for: .milliseconds(10))
            }
            gateway.state.withLock { $0.directive = .pause }
        }
        let end = try await gateway.run("exit 1", inputs: [input])
        try await order.value
        #expect(end == .reported(isDone: false) && ends == [.released])
        #expect(gateway.state.withLock { $0.ends.first?.reason } == "PAUSED_BY")
        #expect(gateway.state.withLock { $0.knowPause.isEmpty == false })
        #expect(gateway.state.withLock { $0.knowPause.allSatisfy(\.self) })
    }

    /// cancel, then cancel --now took 112 s; a child that fetches its inputs was not asked at all.
    @Test func aKillActsWithinASecondInEveryPhase() async throws {
        let deaf = checkpoint(20) + "exec sleep 600"
        let input = Input(
            pointer: "/model",
            source: "m",
            files: [InputFile(path: "m", digest: .of("never"), size: 5)]
        )
        for (script, inputs) in [(deaf, []), ("exit 1", [input])] {
            let gateway = try LeaseGateway()
            let order = Task {
                while gateway.state.withLock({ $0.heartbeats < 1 }) {
                    try await Task.sleep(for: .milliseconds(10))
                }
                if inputs.isEmpty {
                    gateway.state.withLock { $0.directive = .cancel }
                    try await Task.sleep(for: .seconds(1))
                }
                gateway.state.withLock { $0.directive = .cancelNow }
                return ContinuousClock.now
            }
            let end = try await gateway.run(script, inputs: inputs, heartbeat: .seconds(3600))
            let waited = ContinuousClock.now - (try await order.value)
            #expect(end == .reported(isDone: false))
            // Told again where an answer came late.
            #expect(gateway.state.withLock { Set($0.ends.map(\.outcome)) } == [.cancelled])
            // The fault waited for the stop's grace of 120 s, or for a heartbeat, an hour away here. On
            // two cores that run every test at once, 8 s were seen where it takes a few milliseconds.
            #expect(waited < .seconds(110))
        }
    }

    /// Seen: `cancel`, then `cancel --now`, did not end a job until the gateway's disk had room.
    @Test func aKillDoesNotWaitForACheckpointThatFindsNoRoom() async throws {
        let gateway = gateway
        gateway.state.withLock { $0.isFull = true }
        let order = Task {
            while gateway.state.withLock({ $0.refusals < 1 }) {
                try await Task.sleep(for: .milliseconds(10))
            }
            gateway.state.withLock { $0.directive = .cancel }
            try await Task.sleep(for: .seconds(1))
            gateway.state.withLock { $0.directive = .cancelNow }
        }
        // The upload alone would go on for ever.
        let end = try await gateway.run(checkpoint(20) + waitForStop)
        try await order.value
        #expect(end == .reported(isDone: false))
        // Told again where an answer came late.
        #expect(Set(ends) == [.cancelled])
    }

    /// Seen: a job whose outputs found no room looked like one that works, at 100 %, for as long as that lasted.
    @Test func aJobThatCannotDeliverSaysSoInItsPhase() async throws {
        let gateway = gateway
        gateway.state.withLock { $0.isFull = true }
        @Sendable func phases(_ state: LeaseGateway.State) -> [JobProgress] {
            state.news.joined().filter { $0.type == .progress }.compactMap(\.progress)
        }
        let room = Task {
            while !gateway.state.withLock({
                phases($0).last?.phase == "storing outputs: it does not fit"
            }) {
                try await Task.sleep(for: .milliseconds(10))
            }
            gateway.state.withLock { $0.isFull = false }
        }
        let script = """
            printf '{"type":"progress","step":210,"totalSteps":210,"phase":"quantize"}\\n'
            echo x > \(gateway.folder.home.path)/job-1/output/report.json
            printf '{"type":"result","json":"{}"}\\n'
            """
        #expect(try await gateway.run(script, heartbeat: .seconds(1)) == .reported(isDone: true))
        try await room.value
        let told = gateway.state.withLock { phases($0) }
        // Where the child came to stays, and when it goes on that is told, too.
        #expect(told.last?.phase == "storing outputs")
        #expect(told.allSatisfy { $0.step == 210 && $0.totalSteps == 210 }, "\(told)")
        let lines = gateway.state.withLock { $0.news.joined().map(\.message) }
        #expect(lines.contains { $0.contains("it does not fit; trying again until it works") })
    }

    /// Seen: a heartbeat that was too large was tried again for ever, and the lease of a living worker ended.
    @Test func refusedNewsDoNotCostTheLease() async throws {
        gateway.state.withLock { state in
            state.refusal = { events in
                events.contains { $0.progress?.step == 2 && $0.type == .progress }
                    ? RPCError(.invalidArgument, "step 2 is not to be told") : nil
            }
        }
        let lines = (1...4).map { #"{"type":"progress","step":\#($0),"loss":1,"phase":"train"}"# }
        let script = """
            printf '%s\\n' '\(lines.joined(separator: "' '"))'
            printf '{"type":"result","json":"{}"}\\n'
            """
        #expect(try await gateway.run(script) == .reported(isDone: true))
        let news = gateway.state.withLock { $0.news }
        let steps = news.joined().filter { $0.type == .progress }.compactMap(\.progress?.step)
        // Two heartbeats under way at once may both tell what neither has heard back of yet.
        #expect(Set(steps) == [1, 3, 4])
        #expect(news.joined().contains { $0.message.contains("step 2 is not to be told") })
        // The lease was extended although the news were refused.
        #expect(news.contains { $0.isEmpty })
    }

    /// Seen: an end above a message's limit was sent for ever, and nothing but a kill freed the worker.
    @Test func anEndThatNoMessageHoldsEndsTheJobWithASentence() async throws {
        let script = """
            x=$(head -c 300000 /dev/zero | tr '\\0' x)
            printf '{"type":"result","json":"{\\\\"x\\\\":\\\\"%s\\\\"}"}\\n' "$x"
            """
        #expect(try await gateway.run(script) == .reported(isDone: false))
        let end = try #require(gateway.state.withLock { $0.ends.last })
        #expect(end.outcome == .failed && end.reason == "USER_ERROR")
        #expect(end.message.contains("the limit is 262144"), "\(end.message)")
    }

    /// Seen: `INTERNAL notFound: no artifact sha256:…`, for the second attempt of a damaged input.
    @Test(arguments: [RPCError.Code.dataLoss, .notFound])
    func anInputThatIsGoneIsNamed(code: RPCError.Code) async throws {
        for source in ["file", "job:0001a5d43563c94c/model"] {
            let gateway = try LeaseGateway()
            gateway.state.withLock { $0.loss = RPCError(code, "no artifact sha256:ab") }
            let input = Input(
                pointer: "/model",
                source: source,
                files: [InputFile(path: "tiny/m.gguf", digest: .of("gone"), size: 5)]
            )
            _ = try await gateway.run("exit 1", inputs: [input])
            let end = try #require(gateway.state.withLock { $0.ends.last })
            #expect(end.outcome == .failed && end.reason == "ARTIFACT_MISSING")
            for word in ["/model", "m.gguf", "no artifact sha256:ab"] {
                #expect(end.message.contains(word), "\(end.message)")
            }
            let advice = source == "file" ? "qat-client retry" : "job:0001a5d43563c94c"
            #expect(end.message.contains(advice), "\(end.message)")
        }
    }
}
