internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

/// `download`: a job's outputs as files.
struct DownloadCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "download",
        abstract: "Fetch a job's outputs; files that are there already are kept."
    )

    @Argument(help: "The job: \(JobSelector.help).")
    var id: String
    @Option(help: "The folder; the job's id by default.")
    var to: String?
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        let (job, root) = try await GatewayConnection.with(QatHome()) { client in
            let id = try await JobSelector(client: client).id(id)
            let root = Self.folder(to ?? id)
            let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
            try Self.check(job)
            for file in job.outputs {
                let path = root + "/" + file.name
                let isNew = try await BlobDownloader(client: client)
                    .fetch(file.digest, size: file.size, to: path)
                if !output.json {
                    let remark = isNew ? "" : "  (was there)"
                    Console.print("\(path)  \(Quantities.bytes(file.size))\(remark)")
                }
            }
            return (job, root)
        }
        if output.json {
            Console.print(
                .object([
                    "job_id": .string(job.summary.jobID),
                    "folder": .string(root),
                    "outputs": .array(job.outputs.map(JobReport.json)),
                ])
            )
        }
        return .succeeded
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
        for file in job.outputs {
            let parts = file.name.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
                throw ClientError(.rejected, "refusing the output name \"\(file.name)\"")
            }
        }
    }
}
