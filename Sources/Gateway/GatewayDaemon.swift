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
        subcommands: [Run.self, Health.self, Backup.self, Restore.self, Tokens.self],
        defaultSubcommand: Run.self
    )

    static let defaults = DaemonConfiguration.Defaults(
        role: .gateway,
        listen: "127.0.0.1:7443",
        ownKeys: RetentionOptions.keys + HTTPOptions.keys + ["lease-seconds", "policy"]
    )

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Runs the daemon.")
        @OptionGroup var options: DaemonOptions
        @Option(
            help: """
                Seconds a lease lasts without a heartbeat, 3 to 3600; 30 by default. \
                [QAT_LEASE_SECONDS]
                """
        )
        var leaseSeconds: String?
        @Option(
            help:
                "JSON file of who may do what; policy.json in the state folder by default. [QAT_POLICY]"
        )
        var policy: String?
        @OptionGroup var retention: RetentionOptions
        @OptionGroup var http: HTTPOptions

        func run() async throws {
            let settings = try DaemonMain.configuration(options, GatewayDaemon.defaults)
            let service = GatewayService(
                configuration: settings,
                leaseDuration: try Self.lease(leaseSeconds ?? settings.own["lease-seconds"]),
                policyPath: policy ?? settings.own["policy"],
                retention: try retention.policy(settings.own, folder: settings.stateFolder),
                http: try http.settings(of: settings)
            )
            try await service.run()
        }

        /// How long a lease lasts, as it is written.
        ///
        /// - Throws: ``ServiceError`` (`invalidConfiguration`).
        static func lease(_ text: String?) throws -> Duration {
            guard let text else { return .seconds(30) }
            guard let seconds = Int64(text), (3...3600).contains(seconds) else {
                throw ServiceError(
                    .invalidConfiguration,
                    "--lease-seconds is \(PlainText.quoted(text)); a number from 3 to 3600 is needed"
                )
            }
            return .seconds(seconds)
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
