internal import Foundation
internal import Jobs
internal import Synchronization
internal import TestProgram
internal import Testing

@testable internal import ServiceKit

/// What a worker makes of the command that starts ranks, and of how that ends.
struct RankLauncherTests {
    private static func launcher(
        _ command: String?,
        devices: String? = nil,
        nodes: String? = nil
    ) throws -> RankLauncher? {
        try RankLauncher(command: command, devices: devices, nodes: nodes, path: "/bin:/usr/bin")
    }

    @Test func fillsInTheRanks() throws {
        let launcher = try #require(
            try Self.launcher(
                "env  A=1 sh -n {ranks} --map-by ppr:{devices}:node -N {nodes}",
                devices: "4",
                nodes: "2"
            )
        )
        #expect(launcher.offered == .init(devices: 4, nodes: 2))
        let command = launcher.command(.init(devices: 2, nodes: 2), "/x/qat-traind", ["compute"])
        let words = ["A=1", "sh", "-n", "4", "--map-by", "ppr:2:node", "-N", "2"]
        #expect(command.first?.hasSuffix("/env") == true)
        #expect(Array(command.dropFirst()) == words + ["/x/qat-traind", "compute"])
        #expect(try Self.launcher(nil) == nil)
    }

    @Test(
        arguments: [
            (nil, "2", nil, "without --launcher"), (nil, nil, "3", "without --launcher"),
            ("env {ranks}", nil, nil, "--devices or --nodes above 1"),
            ("env -n 2", "2", nil, "a command with {ranks} is needed"),
            ("no-such-launcher {ranks}", "2", nil, "no-such-launcher is not found"),
            ("/no/mpirun -n {ranks}", "2", nil, "/no/mpirun is not found"),
            ("env {ranks}", "two", nil, "--devices is two"),
            ("env {ranks}", "2", "0", "--nodes is 0"),
        ] as [(String?, String?, String?, String)]
    )
    func saysWhatIsWrong(command: String?, devices: String?, nodes: String?, words: String) {
        let error = #expect(throws: ServiceError.self) {
            _ = try Self.launcher(command, devices: devices, nodes: nodes)
        }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    /// A folder with a launcher that is a script.
    ///
    /// It reads no request: that may fail, and what it ends with counts.
    private static func scripted(_ script: String) throws -> RankLauncher {
        let path = NSTemporaryDirectory() + "/qat-launcher-" + UUID().uuidString
        try TestProgram.install(script: script, at: path)
        return try #require(try Self.launcher("\(path) {ranks}", devices: "2"))
    }

    private static func outcome(
        _ script: String,
        _ commands: [ComputeProcess.Command] = [],
        onEvent: @escaping @Sendable (ComputeEvent) -> Void = { _ in }
    ) async throws -> ComputeProcess.Outcome {
        let process = ComputeProcess(
            executable: "/proc/self/exe",
            request: ComputeRequest(
                jobID: "j",
                kind: "train",
                attempt: 1,
                spec: "{}",
                inputs: [:],
                outputFolder: "/tmp",
                checkpointFolder: "/tmp",
                threads: 1
            ),
            stopGrace: .seconds(5),
            launch: (try scripted(script), .init(devices: 2, nodes: 1))
        )
        let asked = AsyncStream { continuation in
            for command in commands { continuation.yield(command) }
            continuation.finish()
        }
        return try await process.run(commands: asked, onEvent: onEvent, onStandardError: { _ in })
    }

    /// The end of a rank that was not rank 0's own is a loss: the job goes on from its checkpoint.
    @Test(arguments: [137, 143, 1, 255])
    func aLostRankIsALoss(status: Int) async throws {
        let ended = try await Self.outcome(
            "echo ---- >&2; echo rank 1 on node b exited >&2; echo ---- >&2; exit \(status)"
        )
        guard case .failed(let reason, let message) = ended else {
            Issue.record("\(ended)")
            return
        }
        #expect(reason == .killed && reason.isLoss)
        let lost = "one of the job's 2 ranks was lost (status \(status))"
        #expect(message == lost + ": rank 1 on node b exited")
    }

    @Test func whatRankZeroSaysHolds() async throws {
        let failed = #"echo '{"type":"error","reason":"DIVERGED","message":"m"}'; exit 1"#
        #expect(try await Self.outcome(failed) == .failed(reason: .diverged, message: "m"))
        let succeeded = #"echo '{"type":"result","json":"{}"}'; exit 0"#
        #expect(try await Self.outcome(succeeded) == .succeeded("{}"))
        #expect(try await Self.outcome("exit 75") == .stopped)
        // A trap of a rank is a fault of the program.
        let trapped = try await Self.outcome("exit 133")
        guard case .failed(let reason, _) = trapped else {
            Issue.record("\(trapped)")
            return
        }
        #expect(reason == .internalError)
    }

    /// Seen: a launcher that greets passed the trial, and failed each job as a fault of the program.
    @Test func aLaunchersOwnLinesGoToTheLog() async throws {
        let events = Mutex<[ComputeEvent]>([])
        let result = #"echo '{"type":"result","json":"{}"}'"#
        let ended = try await Self.outcome(
            "echo salloc: Granted job allocation 42; echo; seq 100; \(result)",
            onEvent: { event in events.withLock { $0.append(event) } }
        )
        #expect(ended == .succeeded("{}"))
        let told = events.withLock { $0 }
        #expect(
            told.count == ComputeProcess.launcherLineLimit && told.allSatisfy { $0.type == .log }
        )
        #expect(told.first?.message == "the launcher printed: salloc: Granted job allocation 42")
        #expect(
            told.last?.message == "the launcher printed: 19; what more it prints is left out",
            "\(told.last?.message ?? "")"
        )
    }

    /// Seen: INTERNAL, without a word of the launcher; it is a loss, which another worker may do without.
    @Test(
        arguments: [
            "echo done", "exec cat /dev/zero", "exec cat /dev/zero >&2",
        ]
    )
    func aLauncherThatStartsNoRanksIsNamed(script: String) async throws {
        let ended = try await Self.outcome(script)
        guard case .failed(let reason, let message) = ended else {
            Issue.record("\(ended)")
            return
        }
        #expect(reason.isLoss && message.hasPrefix("the launcher (--launcher)"), "\(ended)")
    }

    /// A launcher is asked to end its ranks before it is killed itself.
    @Test func aKillReachesTheRanks() async throws {
        let script = "trap 'exit 143' TERM; while true; do sleep 0.05; done"
        #expect(try await Self.outcome(script, [.kill]) == .killed)
    }

    /// What is wrong is known when a worker starts.
    @Test func aTrialSaysWhatIsMissing() async throws {
        let works = try Self.scripted("echo \(RankLauncher.trialWord(2))")
        #expect(try await works.tryOut("/proc/self/exe") == nil)
        let greets = try Self.scripted("echo Granted 42; echo \(RankLauncher.trialWord(2))")
        #expect(try await greets.tryOut("/proc/self/exe") == "Granted 42")
        for (script, words) in [
            ("exit 0", "nothing was printed (exited(0))"),
            ("echo \(RankLauncher.trialWord(1))", RankLauncher.trialWord(1)),
            ("head -c 100000 /dev/zero; exit 0", "more than 65536 bytes were printed"),
        ] {
            let launcher = try Self.scripted(script)
            let error = await #expect(throws: ServiceError.self) {
                try await launcher.tryOut("/proc/self/exe")
            }
            let sentence = "--launcher: 2 ranks did not come about: \(words)"
            #expect(error?.message == sentence, "\(error?.message ?? "")")
        }
        let broken = try Self.scripted("echo ---- >&2; echo no such node >&2; exit 1")
        let error = await #expect(throws: ServiceError.self) {
            try await broken.tryOut("/proc/self/exe")
        }
        #expect(
            error?.message == "--launcher: 2 ranks did not come about: no such node",
            "\(error?.message ?? "")"
        )
        let silent = try Self.scripted("sleep 20")
        let timeout = await #expect(throws: ServiceError.self) {
            try await silent.tryOut("/proc/self/exe", limit: .milliseconds(300))
        }
        #expect(timeout?.message.contains("no answer within") == true)
    }
}
