internal import ArgumentParser
internal import ComputeKit
internal import Devices
internal import Foundation
internal import Jobs
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

    static let defaults = DaemonConfiguration.Defaults(
        role: .train,
        listen: "127.0.0.1:7445",
        ownKeys: ["launcher", "devices", "nodes"]
    )

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Runs the daemon.")
        @OptionGroup var options: DaemonOptions
        @Option(
            help: """
                Command that starts the processes of a job for several devices, with {ranks}, {devices} and \
                {nodes}, as mpirun -n {ranks}; Open MPI 4. Without one, 1 device on 1 node is offered. \
                [QAT_LAUNCHER]
                """
        )
        var launcher: String?
        @Option(help: "Devices per node to offer, 1 by default; with --launcher. [QAT_DEVICES]")
        var devices: String?
        @Option(help: "Nodes to offer, 1 by default; with --launcher. [QAT_NODES]")
        var nodes: String?

        func run() async throws {
            let settings = try DaemonMain.configuration(options, TrainingDaemon.defaults)
            let launcher = try RankLauncher(
                command: launcher ?? settings.own["launcher"],
                devices: devices ?? settings.own["devices"],
                nodes: nodes ?? settings.own["nodes"]
            )
            try await WorkerDaemon(configuration: settings, tools: WorkerTools(launcher: launcher))
                .run()
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

        @Option(help: "Processes that the daemon's launcher started for the job.")
        var ranks = 1
        @Flag(help: "Hears all ranks and ends.")
        var check = false

        func run() {
            guard ranks > 1 else {
                ComputeChild.run { request, reporter in
                    try JobFailure.translating(request) { try TrainingRun.run(request, reporter) }
                }
            }
            let group: MPIRanks
            do {
                group = try MPIRanks(expecting: ranks)
            } catch {
                ComputeChild.end(saying: "error: \(error)")
            }
            if check { return RankCheck.run(group) }
            guard group.rank == 0 else {
                ComputeChild.follow(
                    rank: group.rank,
                    { try FollowingRank(group).run() },
                    abort: { group.abort(status: $0) }
                )
            }
            ComputeChild.run { request, reporter in
                let leader = LeadingRank(group)
                defer { leader.leave() }
                try JobFailure.translating(request) {
                    try TrainingRun.run(request, reporter, ranks: leader)
                }
            }
        }
    }

    static func main() async {
        await DaemonMain.run(Self.self)
    }
}
