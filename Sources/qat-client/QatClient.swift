internal import ArgumentParser
internal import Foundation

/// The command line of the suite.
@main
struct QatClient: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qat-client",
        abstract:
            "Quantizes, trains, evaluates and serves language models as jobs on a qat gateway.",
        discussion: """
            State is kept in $QAT_HOME (~/.qat by default); QAT_GATEWAY=HOST:PORT overrides the \
            profile's gateway.
            Exit status: 0 succeeded, 1 job failed, 2 usage, or an invalid job file or profile, \
            3 cancelled, 4 gateway unreachable or connection lost, 5 refused, 124 timeout, \
            130 left by Ctrl-C.
            """,
        version: "0.1.0",
        subcommands: [
            LocalCommand.self, SubmitCommand.self, StatusCommand.self, WatchCommand.self,
            WaitCommand.self, LogsCommand.self, MetricsCommand.self, CancelCommand.self,
            PauseCommand.self, ResumeCommand.self, RetryCommand.self, ExplainCommand.self,
            ArtifactsCommand.self, JobsCommand.self,
            DownloadCommand.self,
            ModelsCommand.self, GenerateCommand.self, ChatCommand.self, TokenizeCommand.self,
            PreprocessCommand.self, CertsCommand.self,
        ]
    )

    static func main() async {
        // A reader that goes away is told by the write that fails, which is no error.
        signal(SIGPIPE, SIG_IGN)
        let status: Int32
        do {
            try VerbSpelling.check(Array(CommandLine.arguments.dropFirst()), of: Self.self)
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            status = 0
        } catch {
            status = ExitStatus.report(error)
        }
        Foundation.exit(status)
    }
}

/// A verb: does its work and says how the process exits.
protocol ClientVerb: AsyncParsableCommand {
    /// Whether there is work to go on with when nobody reads the output any more, as behind `| head`, or it
    /// cannot be written.
    static var doesMoreThanPrint: Bool { get }

    /// Does the work.
    ///
    /// - Throws: ``ClientError``, or what the gateway answered.
    func perform() async throws -> ExitStatus
}

extension ClientVerb {
    static var doesMoreThanPrint: Bool { false }

    func run() async throws {
        if Self.doesMoreThanPrint { Console.goOnWithoutOutput() }
        let status = try await perform()
        guard status == .succeeded else {
            throw ExitCode(status.rawValue)
        }
        if Console.hasLostOutput { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}

/// What every verb takes.
struct OutputOptions: ParsableArguments {
    @Flag(name: .long, help: "Print one JSON object, or one per line for streams.")
    var json = false
}
