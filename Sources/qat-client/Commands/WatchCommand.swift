internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

/// `watch`: streams a job's events until it ends.
struct WatchCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Follow a job and show its results; Ctrl-C leaves it running."
    )

    @Argument(help: "The job: \(JobSelector.help).")
    var id: String
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        try await Self.watch(id, QatHome(), json: output.json)
    }

    /// Follows a job on the output and shows its results; the exit is the job's, or 130 after
    /// Ctrl-C.
    static func watch(_ word: String, _ home: QatHome, json: Bool) async throws -> ExitStatus {
        let job = try await Interruption.untilInterrupted {
            let printer = EventPrinter(.fitting(json: json))
            defer { printer.finish() }
            return try await GatewayConnection.with(home) { client in
                let id = try await JobSelector(client: client).id(word)
                _ = try await JobWatcher(client: client, jobID: id).follow { printer.print($0) }
                return try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
            }
        }
        guard let job else {
            Console.note(
                "detached; job \(word) goes on, \"qat-client watch \(word)\" follows it again"
            )
            return .interrupted
        }
        if !json {
            showResults(of: job)
        }
        return ExitStatus(jobState: job.summary.state) ?? .failed
    }

    /// Prints a job's results, if it has some.
    static func showResults(of job: JobDetail) {
        guard !job.resultsJSON.isEmpty else {
            return
        }
        Console.print("")
        for line in ResultsTable(job, columns: Console.tableColumns).lines {
            Console.print(line)
        }
    }
}

/// `wait`: blocks until jobs have ended; the exit says how.
struct WaitCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: """
            Wait for jobs and show their results; exit with 0 if all succeeded, 1 if one failed, 3 \
            if cancelled.
            """
    )

    @Argument(help: "Jobs: \(JobSelector.help).")
    var ids: [String]
    @Option(help: "Seconds to wait at most; then the exit is 124.")
    var timeout: Double?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let timeout, !(timeout >= 0 && timeout < 1e9) {
            throw ValidationError("--timeout takes a number of seconds >= 0.")
        }
    }

    func perform() async throws -> ExitStatus {
        let ids = ids
        let home = QatHome()
        let jobs = try await Interruption.within(timeout.map { .seconds($0) }) {
            try await GatewayConnection.with(home) { client in
                var jobs: [JobDetail] = []
                for id in try await JobSelector(client: client).ids(ids, isHarmless: true) {
                    jobs.append(try await Self.end(of: id, client))
                }
                return jobs
            }
        }
        guard let jobs else {
            Console.note("the time is up; jobs go on")
            return .timedOut
        }
        for job in jobs {
            report(job)
        }
        return .worst(jobs.map { ExitStatus(jobState: $0.summary.state) ?? .failed })
    }

    private static func end(of id: String, _ client: RPCClient) async throws -> JobDetail {
        let request = GetJobRequest(jobID: id)
        let job = try await client.call(QatMethods.getJob, request)
        guard ExitStatus(jobState: job.summary.state) == nil else {
            return job
        }
        _ = try await JobWatcher(client: client, jobID: id).follow(fromSeq: job.lastSeq) { _ in }
        return try await client.call(QatMethods.getJob, request)
    }

    private func report(_ job: JobDetail) {
        guard !output.json else {
            Console.print(JobReport.json(job))
            return
        }
        let summary = job.summary
        let parts = [summary.jobID, summary.state, summary.reason, summary.reasonMessage]
        let line = parts.filter { !$0.isEmpty }.joined(separator: "  ")
        Console.print(DisplayWidth.printable(line))
        WatchCommand.showResults(of: job)
    }
}
