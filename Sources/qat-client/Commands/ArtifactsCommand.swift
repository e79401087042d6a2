internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// `artifacts`: what the gateway's store holds.
struct ArtifactsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "artifacts",
        abstract: "List, store, fetch, verify and remove artifacts.",
        subcommands: [
            List.self, Put.self, Get.self, Verify.self, Remove.self, CollectGarbage.self,
        ]
    )

    /// The outputs of jobs.
    struct List: ClientVerb {
        static let configuration = CommandConfiguration(
            commandName: "ls",
            abstract: "List the outputs of a job, or of all jobs."
        )

        @Argument(help: "The job (\(JobSelector.help)); all jobs by default.")
        var id: String?
        @OptionGroup var output: OutputOptions

        func perform() async throws -> ExitStatus {
            let jobs = try await GatewayConnection.with(QatHome()) { client in
                var jobs: [JobDetail] = []
                let ids =
                    if let id { [try await JobSelector(client: client).id(id)] } else {
                        try await Self.jobIDs(client)
                    }
                for id in ids {
                    jobs.append(
                        try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
                    )
                }
                return jobs
            }
            output.json ? printJSON(jobs) : printTable(jobs)
            return .succeeded
        }

        private static func jobIDs(_ client: RPCClient) async throws -> [String] {
            var ids: [String] = []
            var request = ListJobsRequest(pageSize: 200)
            repeat {
                let page = try await client.call(QatMethods.listJobs, request)
                ids += page.jobs.filter(mayHaveOutputs).map(\.jobID)
                request.pageToken = page.nextPageToken
            } while !request.pageToken.isEmpty
            return ids
        }

        /// Whether a job may have left outputs.
        ///
        /// One that failed at its exports has those that came about; one that another's were reused for
        /// never started.
        static func mayHaveOutputs(_ job: JobSummary) -> Bool {
            guard let state = JobState(rawValue: job.state), state.isTerminal else { return false }
            return state == .succeeded || job.startedUnixMs != nil
        }

        private func printJSON(_ jobs: [JobDetail]) {
            let artifacts = jobs.flatMap { job in
                job.outputs.map { output -> JSONValue in
                    var members = JobAnswer.json(output).objectValue ?? [:]
                    members["job_id"] = .string(job.summary.jobID)
                    return .object(members)
                }
            }
            Console.print(.object(["artifacts": .array(artifacts)]))
        }

        private func printTable(_ jobs: [JobDetail]) {
            var table = TextTable(["JOB", "NAME", "SIZE", "DIGEST"])
            for job in jobs {
                for file in job.outputs {
                    table.append([
                        job.summary.jobID, file.name, Quantities.bytes(file.size),
                        "sha256:" + file.digest.hex,
                    ])
                }
            }
            Console.print(table.rendered())
        }
    }

    /// Sends files.
    struct Put: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "put",
            abstract: "Store files and print the names by which job files can refer to them."
        )

        @Argument(help: "Files.")
        var files: [String]
        @OptionGroup var output: OutputOptions

        func perform() async throws -> ExitStatus {
            let planned = try files.map { path in
                let (digest, size) = try SHA256Digest.digest(ofFile: path)
                return PlannedFile(name: path, path: path, digest: digest, size: size)
            }
            try await GatewayConnection.with(QatHome()) { client in
                try await BlobUploader.upload(planned, client)
            }
            guard !output.json else {
                let artifacts = planned.map {
                    JobAnswer.json(OutputFile(name: $0.name, digest: $0.digest, size: $0.size))
                }
                Console.print(.object(["artifacts": .array(artifacts)]))
                return .succeeded
            }
            for file in planned {
                Console.print("sha256:\(file.digest.hex)  \(file.path)")
            }
            return .succeeded
        }
    }

    /// Fetches one artifact.
    struct Get: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "get",
            abstract: "Fetch an artifact into a file."
        )

        @Argument(help: "sha256:DIGEST.")
        var digest: String
        @Option(help: "The file; the digest's hexadecimal digits by default.")
        var to: String?
        @Flag(help: "Replace a file that is there with another content.")
        var overwrite = false
        @OptionGroup var output: OutputOptions

        func perform() async throws -> ExitStatus {
            let digest = try ArtifactsCommand.digest(digest)
            let path = to ?? digest.hex
            try await GatewayConnection.with(QatHome()) { client in
                let meter = TransferMeter("fetching")
                defer { meter.clear() }
                var downloader = BlobDownloader(client: client, overwrites: overwrite)
                downloader.onProgress = { meter.advance(to: $0, of: nil, file: path) }
                _ = try await downloader.fetch(digest, size: nil, to: path)
            }
            let file: JSONValue = .object([
                "digest": .string("sha256:" + digest.hex),
                "path": .string(path),
            ])
            output.json ? Console.print(file) : Console.print(path)
            return .succeeded
        }
    }

    static func digest(_ text: String) throws -> SHA256Digest {
        let hex = text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : text
        guard let digest = SHA256Digest(hex: hex) else {
            throw ClientError(
                .usage,
                "\(TerminalText.quoted(text)) is no digest; expected sha256: and 64 digits"
            )
        }
        return digest
    }
}
