internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

/// `status`: the suite at a glance, or jobs in detail.
struct StatusCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the gateway, the services and the jobs; with ids, those jobs in detail."
    )

    @Argument(help: "Job ids.")
    var ids: [String] = []
    @OptionGroup var output: OutputOptions

    private static let jobCount: UInt32 = 100

    func perform() async throws -> ExitStatus {
        let profile = try Profile.load(QatHome())
        try await GatewayConnection.with(profile, attempts: 2) { client in
            ids.isEmpty ? try await overview(client, profile) : try await details(client)
        }
        return .succeeded
    }

    private func overview(_ client: RPCClient, _ profile: Profile) async throws {
        let request = StatusRequest(pageSize: Self.jobCount)
        let status = try await client.call(QatMethods.status, request, timeout: .seconds(10))
        if output.json {
            Console.print(JobReport.json(status, address: profile.gateway))
        } else {
            let now = Int64(Date.now.timeIntervalSince1970 * 1000)
            Console.print(
                StatusTable.overview(status, address: profile.gateway, nowUnixMs: now)
            )
        }
    }

    private func details(_ client: RPCClient) async throws {
        for (index, id) in ids.enumerated() {
            let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
            if output.json {
                Console.print(JobReport.json(job))
            } else {
                Console.print((index > 0 ? "\n" : "") + StatusTable.detail(job))
            }
        }
    }
}
