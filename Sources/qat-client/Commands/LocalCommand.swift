internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

/// `local`: the whole suite on this machine.
struct LocalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "local",
        abstract: "Run the whole suite on loopback, under $QAT_HOME/local.",
        subcommands: [Up.self, Down.self, Status.self, Supervise.self]
    )

    /// Starts the suite.
    struct Up: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "up",
            abstract: "Start the suite, wait until it is healthy and write the profile."
        )

        /// What stops the suite: Ctrl-C, a request to end, a closed terminal.
        private static let ends = [SIGINT, SIGTERM, SIGHUP]

        @Flag(help: "Return when the suite is healthy; otherwise Ctrl-C stops it.")
        var detach = false
        @Option(help: "The gateway's port on 127.0.0.1. (default: that of the last time, or 7443)")
        var port: Int?
        @Option(
            help: ArgumentHelp(
                "Lets evaluations run programs that models wrote, by this interpreter of Python.",
                valueName: "path"
            )
        )
        var allowCodeExecution: String?
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard port.map((1...65_535).contains) ?? true else {
                throw ValidationError("--port takes a number from 1 to 65535.")
            }
        }

        /// Verbs that wait for jobs look for a suite that was killed where it was.
        static func port(_ asked: Int?, of suite: LocalSuite) -> Int { asked ?? suite.port ?? 7443 }

        func perform() async throws -> ExitStatus {
            // A closing terminal sends two and more: none of them may end this process before what it
            // started has ended.
            let ends = SignalPipe.shared.signals(Self.ends)
            defer { withExtendedLifetime(ends) {} }
            let home = QatHome()
            let suite = LocalSuite(home)
            try home.create()
            try suite.checkProfile()
            try suite.layout.create()
            let isNew = try await Interruption.untilInterrupted(by: Self.ends) { [self] in
                try await FileLock.whileHolding(suite.layout.lockPath) {
                    try await start(suite)
                }
            }
            guard let isNew else {
                Console.note("stopping")
                _ = try await suite.stop()
                return .cancelled
            }
            let runningPort = Self.port(nil, of: suite)
            guard output.json else {
                let state = isNew ? "is up" : "is already running"
                Console.note("the suite \(state) on 127.0.0.1:\(runningPort)")
                return try await stayInForeground(suite, isNew: isNew)
            }
            Console.print(LocalReport.json(suite, started: isNew))
            return try await stayInForeground(suite, isNew: isNew)
        }

        private func start(_ suite: LocalSuite) async throws -> Bool {
            let nowUnixMs = Int64(Date.now.timeIntervalSince1970 * 1000)
            if suite.supervisor != nil, let running = suite.port {
                guard allowCodeExecution == nil else {
                    throw ClientError(
                        .usage,
                        "the suite is already running, and --allow-code-execution is for its start; stop "
                            + "it first: qat-client local down"
                    )
                }
                guard port == nil || port == running else {
                    throw ClientError(
                        .usage,
                        "the suite is already running, on port \(running); stop it first: "
                            + "qat-client local down"
                    )
                }
                // Idle workers call the gateway at least twice a minute.
                let sinceUnixMs = nowUnixMs - 60_000
                try await LocalReadiness(suite: suite, port: running, sinceUnixMs: sinceUnixMs)
                    .wait()
                try suite.saveProfile(port: running)
                return false
            }
            let place = Self.port(port, of: suite)
            try await suite.start(port: place, codeInterpreter: allowCodeExecution)
            do {
                try await LocalReadiness(suite: suite, port: place, sinceUnixMs: nowUnixMs).wait()
                try suite.saveProfile(port: place)
            } catch let error as ClientError {
                _ = try await suite.stop()
                throw error
            }
            return true
        }

        private func stayInForeground(_ suite: LocalSuite, isNew: Bool) async throws -> ExitStatus {
            guard isNew, !detach else {
                return .succeeded
            }
            Console.note("Ctrl-C stops it")
            for await _ in SignalPipe.shared.signals(Self.ends) {
                break
            }
            Console.note("stopping")
            _ = try await suite.stop()
            return .succeeded
        }
    }

    /// Stops the suite.
    struct Down: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "down",
            abstract: "Stop the suite and wait until all its processes are gone."
        )

        @OptionGroup var output: OutputOptions

        func perform() async throws -> ExitStatus {
            let wasRunning = try await LocalSuite(QatHome()).stop()
            guard !output.json else {
                Console.print(.object(["stopped": .boolean(wasRunning)]))
                return .succeeded
            }
            Console.note(wasRunning ? "the suite is stopped" : "the suite was not running")
            return .succeeded
        }
    }

    /// Shows the suite's processes.
    struct Status: ClientVerb {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract: "Show the suite's processes; exit with 1 if one is down."
        )

        @OptionGroup var output: OutputOptions

        func perform() async throws -> ExitStatus {
            let suite = LocalSuite(QatHome())
            if output.json {
                Console.print(LocalReport.json(suite, started: nil))
            } else {
                Console.print(LocalReport.table(suite))
            }
            let isUp = suite.supervisor != nil && suite.daemons.count == LocalDaemon.allCases.count
            return isUp ? .succeeded : .failed
        }
    }

    /// Keeps the daemons running; started by `up`.
    struct Supervise: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "supervise",
            shouldDisplay: false
        )

        @Option var home: String
        @Option var port: Int
        @Option var allowCodeExecution: String?

        func perform() async throws -> ExitStatus {
            var supervisor = Supervisor(
                layout: LocalLayout(QatHome(path: home)),
                port: port,
                executableFolder: try LocalLayout.executableFolder(),
                codeInterpreter: allowCodeExecution
            )
            await supervisor.run()
            return .succeeded
        }
    }
}
