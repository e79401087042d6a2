internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// `jobs`: what concerns jobs that are over.
struct JobsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "Remove jobs that are over.",
        subcommands: [Remove.self]
    )

    /// Removes jobs.
    struct Remove: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "rm",
            abstract: "Remove jobs that are over, with their logs, checkpoints and outputs.",
            discussion: """
                A job that is not over is refused, and so is one that is an input of a job that is not \
                over. Its key stays taken. Files that another job refers to stay, and for a week those \
                that you brought; the answer says how much that is. Give jobs, or say which of your own \
                that are over: "jobs rm --state failed --older-than 30d".
                """
        )

        @Argument(help: "Jobs: \(JobSelector.help); a name that several have is not enough.")
        var ids: [String] = []
        @OptionGroup var filter: JobFilter
        @Option(help: "Jobs that ended so long ago: 30d, 12h.", transform: Age.init(written:))
        var olderThan: Age?
        @Flag(help: "With filters: everybody's jobs, which operators may remove.")
        var everyone = false
        @Flag(help: "Print what would be removed, and remove nothing.")
        var dryRun = false
        @OptionGroup var output: OutputOptions

        func validate() throws {
            let isOpen = filter.isOpen && olderThan == nil
            guard ids.isEmpty != isOpen else {
                throw ValidationError(
                    isOpen
                        ? "Give jobs, or say which: --state, --kind, --name, --mine, --older-than."
                        : "Give jobs or filters, not both."
                )
            }
        }

        func perform() async throws -> ExitStatus {
            let profile = try Profile.load(QatHome())
            return try await GatewayConnection.with(profile) { client in
                var (chosen, left, status) = try await chosen(client, profile)
                var forecast = dryRun ? RemovalForecast(client: client) : nil
                for id in chosen {
                    do {
                        try await forecast?.remove(id)
                        try await remove(id, client)
                    } catch let error as RPCError where !error.isConnectionLoss && chosen.count > 1
                    {
                        let isNamed = error.message.contains(id)
                        Console.complain([
                            isNamed ? error.message : "\(Self.title(id)): \(error.message)"
                        ])
                        status = status == .succeeded ? ExitStatus(error) : status
                    }
                }
                if chosen.isEmpty, !output.json { Console.note("no job is meant") }
                if left > 0 {
                    Console.note(left == 1 ? "1 more is left" : "\(left) more are left")
                }
                return status
            }
        }

        private static func title(_ id: String) -> String {
            PipelineID.isPipeline(id) ? "pipeline \(id)" : "job \(id)"
        }

        /// The ids of the jobs that are meant, how many others filters fit that `--limit` leaves, and `usage` if
        /// words name nothing.
        private func chosen(
            _ client: RPCClient,
            _ profile: Profile
        ) async throws -> (ids: [String], left: Int, status: ExitStatus) {
            guard ids.isEmpty else {
                // A pipeline goes by its id: whole.
                let (targets, status) = try await JobSelector(client: client).actionable(ids)
                return (targets.map(\.id), 0, status)
            }
            // A limit counts those that go: all are looked through.
            var everything = filter
            everything.mine = everything.mine || !everyone
            let jobs = try await everything.jobs(
                client,
                certificatePath: profile.certificatePath,
                limit: nil
            ).jobs
            let now = Int64(Date.now.timeIntervalSince1970 * 1000)
            let over = Self.over(jobs, olderThan: olderThan, nowUnixMs: now)
            let pipelines = Set(over.map(\.pipelineID)).subtracting([""]).sorted()
            if !pipelines.isEmpty, !output.json {
                Console.note(
                    "left: jobs of pipelines, which go whole: jobs rm "
                        + pipelines.prefix(5).joined(separator: " ")
                )
            }
            let alone = over.filter(\.pipelineID.isEmpty)
            let chosen = alone.prefix(filter.limit ?? .max)
            return (chosen.map(\.jobID), alone.count - chosen.count, .succeeded)
        }

        /// Those of some jobs that are over, and ended long enough ago.
        static func over(
            _ jobs: [JobSummary],
            olderThan age: Age?,
            nowUnixMs: Int64
        ) -> [JobSummary] {
            jobs.filter { job in
                guard JobState(rawValue: job.state)?.isTerminal == true else { return false }
                guard let age else { return true }
                return (job.finishedUnixMs ?? .max) <= nowUnixMs - age.seconds * 1000
            }
        }

        private func remove(_ id: String, _ client: RPCClient) async throws {
            guard !dryRun else {
                output.json
                    ? Console.print(.object(["job_id": .string(id), "removed": .boolean(false)]))
                    : Console.print("\(id)  would go")
                return
            }
            let gone = try await client.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
            if output.json {
                Console.print(
                    .object([
                        "job_id": .string(id), "removed": .boolean(true),
                        "freed_bytes": .number(Double(gone.freedBytes)),
                        "kept_bytes": .number(Double(gone.keptBytes)),
                        "kept_for": gone.keptFor.isEmpty ? .null : .string(gone.keptFor),
                        "kept_until": gone.keptUntilUnixMs == 0
                            ? .null
                            : .string(Quantities.timestamp(unixMs: gone.keptUntilUnixMs)),
                    ])
                )
            } else {
                Console.print(
                    "\(id)  removed, \(Quantities.bytes(gone.freedBytes)) freed"
                        + (Self.kept(gone).map { "; \($0)" } ?? "")
                )
            }
        }

        /// What stays of what a removed job had, why, and until when; nil if nothing does.
        static func kept(_ gone: RemoveJobResponse) -> String? {
            guard gone.keptBytes > 0 else { return nil }
            var reasons: [String] = []
            if !gone.keptFor.isEmpty {
                let which = gone.keptUntilUnixMs > 0 ? "some of it" : "it"
                reasons.append("job \(gone.keptFor) refers to \(which)")
            }
            if gone.keptUntilUnixMs > 0 {
                let day = Quantities.timestamp(unixMs: gone.keptUntilUnixMs).prefix(10)
                reasons.append(
                    "uploads go by \(day), or with \"qat-client artifacts gc --older-than 0h\""
                )
            }
            let size = Quantities.bytes(gone.keptBytes)
            return (["\(size) of its files stay"] + [reasons.joined(separator: "; ")])
                .filter { !$0.isEmpty }.joined(separator: ": ")
        }
    }
}
