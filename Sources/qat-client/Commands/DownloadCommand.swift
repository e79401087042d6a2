internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

/// `download`: a job's outputs as files.
struct DownloadCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "download",
        abstract: "Fetch a job's outputs; files that are there already are kept.",
        discussion: "Of a pipeline, each job's outputs go into a folder with the job's name."
    )

    @Argument(help: "The job or pipeline: \(JobSelector.help).")
    var id: String
    @Option(help: "The folder; the id by default.")
    var to: String?
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        try await GatewayConnection.with(QatHome()) { client in
            switch try await JobSelector(client: client).target(id) {
            case .job(let id):
                let root = Self.folder(to ?? id)
                let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
                try Self.check(job)
                try await fetch(job, to: root, client)
                if output.json {
                    Console.print(Self.json(job, root))
                }
            case .pipeline(let id):
                try await fetchPipeline(id, client)
            }
        }
        return .succeeded
    }

    /// Fetches what the jobs of a pipeline have; one that has nothing yet is passed over.
    private func fetchPipeline(_ id: String, _ client: RPCClient) async throws {
        let root = Self.folder(to ?? id)
        let jobs = try await PipelineResults.fetch(id, client).jobs
        let full = jobs.filter { !$0.outputs.isEmpty }
        guard !full.isEmpty else {
            throw ClientError(.failed, "no job of pipeline \(id) has outputs")
        }
        for job in full {
            try Self.check(job)
            try await fetch(job, to: root + "/" + job.summary.part, client)
        }
        for job in jobs where job.outputs.isEmpty {
            Console.note("\(job.summary.part) is \(job.summary.state) and has no outputs")
        }
        if output.json {
            Console.print(
                .object([
                    "pipeline_id": .string(id),
                    "folder": .string(root),
                    "jobs": .array(full.map { Self.json($0, root + "/" + $0.summary.part) }),
                ])
            )
        }
    }

    private func fetch(_ job: JobDetail, to root: String, _ client: RPCClient) async throws {
        for file in job.outputs {
            let path = root + "/" + file.name
            let isNew = try await BlobDownloader(client: client)
                .fetch(file.digest, size: file.size, to: path)
            if !output.json {
                let remark = isNew ? "" : "  (was there)"
                Console.print("\(path)  \(Quantities.bytes(file.size))\(remark)")
            }
        }
    }

    private static func json(_ job: JobDetail, _ root: String) -> JSONValue {
        .object([
            "job_id": .string(job.summary.jobID),
            "folder": .string(root),
            "outputs": .array(job.outputs.map(JobReport.json)),
        ])
    }

    private static func folder(_ path: String) -> String {
        let folder = URL(filePath: path).standardizedFileURL.path(percentEncoded: false)
        return folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    }

    private static func check(_ job: JobDetail) throws {
        guard !job.outputs.isEmpty else {
            throw ClientError(
                .failed,
                "job \(job.summary.jobID) is \(job.summary.state) and has no outputs"
            )
        }
        let part = job.summary.part
        if !part.isEmpty, let fault = PartName.fault(in: part) {
            throw ClientError(.rejected, "refusing the job name \"\(part)\", which \(fault)")
        }
        for file in job.outputs {
            let parts = file.name.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
                throw ClientError(.rejected, "refusing the output name \"\(file.name)\"")
            }
        }
    }
}
