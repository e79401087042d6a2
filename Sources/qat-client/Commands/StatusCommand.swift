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

    @Argument(help: "Jobs to show in detail: \(JobSelector.help).")
    var ids: [String] = []
    @OptionGroup var filter: JobFilter
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if !ids.isEmpty, !filter.isOpen {
            throw ValidationError("Filters choose from the list; give jobs or filters, not both.")
        }
    }

    func perform() async throws -> ExitStatus {
        let profile = try Profile.load(QatHome())
        return try await GatewayConnection.with(profile, attempts: 2) { client in
            guard ids.isEmpty else { return try await details(client) }
            try await overview(client, profile)
            return .succeeded
        }
    }

    private func overview(_ client: RPCClient, _ profile: Profile) async throws {
        let request = StatusRequest(pageSize: 1)
        var status = try await client.call(QatMethods.status, request, timeout: .seconds(10))
        let found = try await filter.jobs(
            client,
            certificatePath: profile.certificatePath,
            limit: filter.limit ?? JobFilter.listLimit
        )
        (status.jobs, status.pipelines) = (found.jobs, found.pipelines)
        if output.json {
            Console.print(JobAnswer.json(status, address: profile.gateway))
        } else {
            let now = Int64(Date.now.timeIntervalSince1970 * 1000)
            Console.print(
                StatusTable.overview(
                    status,
                    address: profile.gateway,
                    nowUnixMs: now,
                    caller: try? JobFilter.user(profile.certificatePath),
                    notes: CertificateNotes.lines(
                        status,
                        own: try? profile.tls.firstEnd(),
                        at: .now
                    ),
                    columns: Console.tableColumns
                )
            )
        }
        if let remainder = found.remainder { Console.note(remainder) }
    }

    private func details(_ client: RPCClient) async throws -> ExitStatus {
        let (found, status) = try await JobSelector(client: client)
            .actionable(ids, isHarmless: true)
        var isFirst = true
        return try await JobVerb.each(of: found, status) { target in
            guard case .job(let id) = target else {
                try await pipeline(target, client, isFirst: isFirst)
                isFirst = false
                return
            }
            let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
            if output.json {
                Console.print(JobAnswer.json(job))
            } else {
                let text = StatusTable.detail(job, columns: Console.tableColumns)
                Console.print((isFirst ? "" : "\n") + text)
            }
            isFirst = false
        }
    }

    private func pipeline(
        _ target: JobTarget,
        _ client: RPCClient,
        isFirst: Bool
    ) async throws {
        guard case .pipeline(let id) = target else { return }
        let request = GetPipelineRequest(pipelineID: id)
        let pipeline = try await client.call(QatMethods.getPipeline, request)
        guard !output.json else {
            Console.print(JobAnswer.json(pipeline))
            return
        }
        let text = StatusTable.detail(
            pipeline,
            caller: try? JobFilter.user(QatHome()),
            nowUnixMs: Int64(Date.now.timeIntervalSince1970 * 1000),
            columns: Console.tableColumns
        )
        Console.print((isFirst ? "" : "\n") + text)
    }
}
