internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// `download`: a job's outputs as files.
struct DownloadCommand: ClientVerb {
    static let doesMoreThanPrint = true
    static let configuration = CommandConfiguration(
        commandName: "download",
        abstract: "Fetch a job's outputs; files that are there already are kept.",
        discussion: """
            A file that is there with another content is refused, and nothing is fetched, unless \
            --overwrite is given. A download that was interrupted goes on where it stopped. Of a \
            pipeline, each job's outputs go into a folder with the job's name.
            """
    )

    @Argument(help: "The job or pipeline: \(JobSelector.help).")
    var id: String
    @Option(help: "The folder; the id by default.")
    var to: String?
    @Flag(help: "Replace files that are there with another content.")
    var overwrite = false
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        // Before anybody is asked.
        if let to { try TargetFolder.check(Self.folder(to), option: "--to") }
        return try await download()
    }

    private func download() async throws -> ExitStatus {
        try await GatewayConnection.with(QatHome()) { client in
            switch try await JobSelector(client: client).target(id) {
            case .job(let id):
                let root = Self.folder(to ?? id)
                let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
                try Self.check(job)
                try await fetch([(job, root)], below: root, client)
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
        for job in full { try Self.check(job) }
        try await fetch(full.map { ($0, root + "/" + $0.summary.part) }, below: root, client)
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

    /// Fetches the outputs of jobs into a folder each; all or none are begun with.
    private func fetch(
        _ jobs: [(job: JobDetail, root: String)],
        below root: String,
        _ client: RPCClient
    ) async throws {
        let files = jobs.flatMap { job, root in
            job.outputs.map { (path: root + "/" + $0.name, file: $0) }
        }
        for folder in Set(files.map { ($0.path as NSString).deletingLastPathComponent }).sorted() {
            try TargetFolder.check(folder)
        }
        let places = files.map { path, file in
            BlobDownloader.place(of: file.digest, size: file.size, at: path)
        }
        let special = zip(files, places).filter { $1 == .special }.map(\.0.path)
        guard special.isEmpty else {
            throw ClientError(.usage, special.map(BlobDownloader.specialRefusal))
        }
        let others = zip(files, places).filter { $1 == .other }.map(\.0.path)
        guard overwrite || others.isEmpty else {
            throw ClientError(.usage, others.map(BlobDownloader.refusal))
        }
        let missing = zip(files, places).filter { $1 != .same }.map(\.0)
        try Self.checkRoom(missing, below: root)
        let meter = TransferMeter("fetching")
        defer { meter.clear() }
        let total = missing.reduce(UInt64(0)) {
            $0.addingReportingOverflow($1.file.size).partialValue
        }
        var done: UInt64 = 0
        for ((path, file), place) in zip(files, places) {
            let isThere = place == .same
            if !isThere {
                let before = done
                let name = (path as NSString).lastPathComponent
                var downloader = BlobDownloader(client: client, overwrites: overwrite)
                downloader.onProgress = {
                    meter.advance(to: before &+ $0, of: total, file: name)
                }
                do {
                    _ = try await downloader.fetch(file.digest, size: file.size, to: path)
                    done = before &+ file.size
                } catch let error as RPCError where [.notFound, .dataLoss].contains(error.code) {
                    throw Self.loss(of: file, error)
                }
            }
            if !output.json {
                let remark = isThere ? "  (was there)" : ""
                Console.print("\(path)  \(Quantities.bytes(file.size))\(remark)")
            }
        }
    }

    /// An output that the gateway had and lost is nothing that was asked for wrongly.
    private static func loss(of file: OutputFile, _ error: RPCError) -> ClientError {
        ClientError(
            .failed,
            """
            output \(TerminalText.quoted(file.name)) is lost: \(error.message); whoever has the file may \
            put it again (qat-client artifacts put FILE), or submit the job again
            """
        )
    }

    /// Refuses what the disk has no room for before it is full.
    private static func checkRoom(
        _ files: [(path: String, file: OutputFile)],
        below root: String
    ) throws {
        let manager = FileManager.default
        let needed = files.reduce(UInt64(0)) { sum, entry in
            // What an interrupted download left need not come again.
            let partial = BlobDownloader.partial(of: entry.path, entry.file.digest)
            let present = (try? manager.attributesOfItem(atPath: partial))?[.size] as? UInt64 ?? 0
            let (total, isHuge) = sum.addingReportingOverflow(
                entry.file.size - min(present, entry.file.size)
            )
            return isHuge ? .max : total
        }
        var folder = root
        while !manager.fileExists(atPath: folder), folder.contains("/"), folder != "/" {
            folder = URL(filePath: folder).deletingLastPathComponent().path(percentEncoded: false)
            if folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
        }
        guard let system = try? manager.attributesOfFileSystem(forPath: folder),
            let free = system[.systemFreeSize] as? UInt64, free < needed
        else { return }
        throw ClientError(
            .failed,
            "\(folder): \(Quantities.bytes(needed)) are to be fetched, and \(Quantities.bytes(free)) are "
                + "free; make room, or name another place with --to"
        )
    }

    private static func json(_ job: JobDetail, _ root: String) -> JSONValue {
        .object([
            "job_id": .string(job.summary.jobID),
            "folder": .string(root),
            "outputs": .array(job.outputs.map(JobAnswer.json)),
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
            throw ClientError(
                .rejected,
                "refusing the job name \(TerminalText.quoted(part)), which \(fault)"
            )
        }
        for file in job.outputs {
            if let fault = PlainText.pathFault(in: file.name, byteLimit: JobLimits().pathBytes) {
                throw ClientError(
                    .rejected,
                    "refusing the output name \(TerminalText.quoted(file.name)), which \(fault)"
                )
            }
        }
    }
}
