internal import Foundation
internal import Jobs

/// Keeps the four daemons running until it is told to stop.
struct Supervisor {
    /// A daemon and the life it is in.
    private struct Ward {
        let daemon: LocalDaemon
        var process: ProcessIdentity?
        var startedAt = ContinuousClock.now
        var restartAt: ContinuousClock.Instant?
        var backoff = RestartBackoff()
    }

    private static let pollInterval = Duration.milliseconds(100)

    private let layout: LocalLayout
    private let port: Int
    private let codeInterpreter: String?
    private let executableFolder: String
    private var wards = LocalDaemon.allCases.map { Ward(daemon: $0) }

    init(
        layout: LocalLayout,
        port: Int,
        executableFolder: String,
        codeInterpreter: String? = nil
    ) {
        self.codeInterpreter = codeInterpreter
        self.layout = layout
        self.port = port
        self.executableFolder = executableFolder
    }

    /// Starts the daemons, restarts those that die, and on SIGTERM, SIGINT or a stop request stops
    /// the workers, then the gateway.
    mutating func run() async {
        await withTaskGroup(of: Void.self) { group in
            let signals = SignalPipe.shared.signals([SIGTERM, SIGINT, SIGHUP])
            group.addTask { [layout] in
                for await number in signals where number != SIGHUP {
                    try? layout.requestStop()
                }
            }
            await superviseUntilStopRequest()
            group.cancelAll()
        }
        await stop(LocalDaemon.workers, within: .seconds(StopTimes.worker))
        await stop([.gateway], within: .seconds(StopTimes.gateway))
        unlink(layout.stopRequestPath)
        say("stopped")
    }

    private mutating func superviseUntilStopRequest() async {
        while access(layout.stopRequestPath, F_OK) != 0 {
            for index in wards.indices {
                tend(&wards[index])
            }
            try? await Task.sleep(for: Self.pollInterval)
        }
        say("stopping")
    }

    private func tend(_ ward: inout Ward) {
        let now = ContinuousClock.now
        if let process = ward.process {
            guard let cause = Self.reap(process) else {
                return
            }
            let delay = ward.backoff.delay(afterLifetime: now - ward.startedAt)
            say("\(ward.daemon.executable) (\(process.processID)) \(cause); restarting in \(delay)")
            ward.process = nil
            ward.restartAt = now + delay
        }
        guard ward.restartAt.map({ now >= $0 }) ?? true else {
            return
        }
        do {
            let process = try ProcessLauncher.start(
                executableFolder + ward.daemon.executable,
                layout.arguments(ward.daemon, port: port, codeInterpreter: codeInterpreter),
                log: layout.logPath(ward.daemon),
                ownSession: false
            )
            ward.process = process
            ward.startedAt = now
            ward.restartAt = nil
            try PIDFile(path: layout.pidPath(ward.daemon)).write(process)
            say("\(ward.daemon.executable) runs as \(process.processID)")
        } catch {
            let delay = ward.backoff.delay(afterLifetime: .zero)
            say("\(ward.daemon.executable): \(error); trying again in \(delay)")
            ward.restartAt = now + delay
        }
    }

    /// How the child ended, or nil if it has not.
    private static func reap(_ process: ProcessIdentity) -> String? {
        var status: Int32 = 0
        guard waitpid(process.processID, &status, WNOHANG) != 0 else {
            return nil
        }
        let signal = status & 0x7F
        return signal == 0 ? "exited with \(status >> 8 & 0xFF)" : "was killed by signal \(signal)"
    }

    private mutating func stop(_ daemons: [LocalDaemon], within limit: Duration) async {
        let deadline = ContinuousClock.now + limit
        var isForced = false
        for ward in wards where daemons.contains(ward.daemon) {
            ward.process?.send(SIGTERM)
        }
        while true {
            var remaining = 0
            for index in wards.indices where daemons.contains(wards[index].daemon) {
                guard let process = wards[index].process else {
                    continue
                }
                if let cause = Self.reap(process) {
                    say("\(wards[index].daemon.executable) \(cause)")
                    PIDFile(path: layout.pidPath(wards[index].daemon)).remove()
                    wards[index].process = nil
                } else {
                    remaining += 1
                    if isForced {
                        process.send(SIGKILL)
                    }
                }
            }
            guard remaining > 0 else {
                return
            }
            isForced = ContinuousClock.now >= deadline
            try? await Task.sleep(for: Self.pollInterval)
        }
    }

    private func say(_ text: String) {
        let time = Quantities.timestamp(unixMs: Int64(Date.now.timeIntervalSince1970 * 1000))
        Console.note("\(time) supervisor: \(text)")
    }
}
