internal import ArgumentParser
internal import Foundation
internal import Jobs
internal import ServiceKit

/// qat-gateway: routes jobs and keeps everything that must last.
@main
struct GatewayDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qat-gateway",
        abstract: "Takes jobs, hands them to workers, and keeps their state and artifacts.",
        discussion: """
            Settings come from a file (--config), the environment (QAT_…) and flags, the later ones \
            winning. One process at a time uses a state folder.
            """,
        version: SuiteVersion.current,
        subcommands: [Run.self, Health.self, Backup.self, Restore.self],
        defaultSubcommand: Run.self
    )

    static let defaults = DaemonConfiguration.Defaults(
        role: .gateway,
        listen: "127.0.0.1:7443",
        ownKeys: RetentionOptions.keys
    )

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Runs the daemon.")
        @OptionGroup var options: DaemonOptions
        @Option(help: "Seconds a lease lasts without a heartbeat, 3 to 3600.")
        var leaseSeconds = 30
        @Option(
            help:
                "JSON file of who may do what; policy.json in the state folder by default. [QAT_POLICY]"
        )
        var policy: String?
        @OptionGroup var retention: RetentionOptions

        func validate() throws {
            guard (3...3600).contains(leaseSeconds) else {
                throw ValidationError("--lease-seconds is \(leaseSeconds), not in 3...3600")
            }
        }

        func run() async throws {
            let settings = try DaemonMain.configuration(options, GatewayDaemon.defaults)
            let service = GatewayService(
                configuration: settings,
                leaseDuration: .seconds(leaseSeconds),
                policyPath: policy ?? ProcessInfo.processInfo.environment["QAT_POLICY"],
                retention: try retention.policy(settings.own, folder: settings.stateFolder)
            )
            try await service.run()
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
                try DaemonMain.configuration(options, GatewayDaemon.defaults)
            )
        }
    }

    static func main() async {
        await DaemonMain.run(Self.self)
    }
}
