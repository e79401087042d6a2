internal import ArgumentParser
internal import Jobs
internal import ComputeKit
internal import Foundation
internal import ServiceKit

/// qat-traind: trains models.
@main
struct TrainingDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qat-traind",
        abstract:
            "Trains models so that they keep their accuracy when quantized (QAT, distillation).",
        discussion: """
            Registers with the gateway and runs one job at a time in a child process. Settings come
            from a file (--config), the environment (QAT_…) and flags, the later ones winning.
            """,
        version: SuiteVersion.current,
        subcommands: [Run.self, Health.self, Compute.self],
        defaultSubcommand: Run.self
    )

    static let defaults = DaemonConfiguration.Defaults(role: .train, listen: "127.0.0.1:7445")

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Runs the daemon.")
        @OptionGroup var options: DaemonOptions

        func run() async throws {
            let settings = try DaemonMain.configuration(options, TrainingDaemon.defaults)
            try await WorkerDaemon(configuration: settings).run()
        }
    }

    struct Health: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "healthcheck",
            abstract: "Exits with 0 when the daemon is ready."
        )
        @OptionGroup var options: DaemonOptions

        func run() async throws {
            try await HealthProbe.check(
                try DaemonMain.configuration(options, TrainingDaemon.defaults)
            )
        }
    }

    struct Compute: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs one job for the daemon that started it.",
            shouldDisplay: false
        )

        func run() {
            ComputeChild.run { request, reporter in
                try JobFailure.translating(request) { try TrainingRun.run(request, reporter) }
            }
        }
    }

    static func main() async {
        await DaemonMain.run(Self.self)
    }
}
