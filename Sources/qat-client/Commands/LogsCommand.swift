internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol
internal import Synchronization

/// `logs`: what a job's processes wrote.
struct LogsCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Print a job's log; with --follow, until the job ends, with its exit."
    )

    @Argument(help: "The job: \(JobSelector.help).")
    var job: String
    @Flag(help: "Go on until the job ends.")
    var follow = false
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        let meant = Mutex(job)
        let status = try await Interruption.untilInterrupted { [self] in
            try await GatewayConnection.with(QatHome()) { client in
                let id = try await JobSelector(client: client).id(job)
                meant.withLock { $0 = id }
                return try await copy(id, client)
            }
        }
        guard let status else {
            Console.note("detached; job \(meant.withLock { $0 }) goes on")
            return .interrupted
        }
        return status
    }

    /// Writes the log of a job, with `follow` until it ends, across outages of the gateway.
    func copy(
        _ id: String,
        _ client: RPCClient,
        _ patience: Patience = Patience()
    ) async throws -> ExitStatus {
        var offset: UInt64 = 0
        var outage = Outage(
            .job(id),
            again: "qat-client logs \(id)" + (follow ? " --follow" : ""),
            hasConnected: false,
            patience: patience
        )
        let refusalNote = RefusalNote(.job(id))
        while true {
            var known: JobSummary?
            do {
                if follow, offset == 0 || outage.isOn {
                    // A log that does not grow says nothing, however well it is connected.
                    known = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
                        .summary
                    outage.answer()
                }
                try await stream(id, client, from: &offset) { outage.end() }
                guard follow else {
                    return .succeeded
                }
                let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
                outage.end()
                if let status = ExitStatus(jobState: job.summary.state) {
                    return status
                }
                try await patience.sleep(.seconds(1))
            } catch let error as RPCError where error.isConnectionLoss {
                if error.isRefusalForNow,
                    let status = known.flatMap({ ExitStatus(jobState: $0.state) })
                {
                    Console.note(
                        "job \(id) has ended, and its log from byte \(offset) on could not be read: \(error.message)"
                    )
                    return status
                }
                if known != nil {
                    error.isRefusalForNow ? refusalNote.say(error) : outage.end()
                }
                try await outage.outlast(error)
            }
        }
    }

    private func stream(
        _ id: String,
        _ client: RPCClient,
        from offset: inout UInt64,
        _ onAnswer: () -> Void
    ) async throws {
        var next = offset
        defer { offset = next }
        let request = JobLogsRequest(jobID: id, offset: next, follow: follow)
        try await client.stream(QatMethods.jobLogs, request) { chunk in
            onAnswer()
            let end = chunk.offset + UInt64(chunk.data.count)
            guard end > next else {
                return
            }
            let fresh = Array(chunk.data.suffix(Int(end - max(chunk.offset, next))))
            next = end
            guard output.json else {
                Console.write(Console.isTerminal ? Self.shown(fresh) : fresh)
                return
            }
            Console.print(
                .object([
                    "job_id": .string(id),
                    "offset": .number(Double(end - UInt64(fresh.count))),
                    "text": .string(String(decoding: fresh, as: UTF8.self)),
                ])
            )
        }
    }
}

extension LogsCommand {
    /// A log of which a terminal obeys tabs and line ends only.
    static func shown(_ bytes: [UInt8]) -> [UInt8] {
        Array(TerminalText.log(String(decoding: bytes, as: UTF8.self)).utf8)
    }
}

/// `metrics`: the numbers a job has reported so far.
struct MetricsCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Print the progress and metrics that a job has reported so far."
    )

    @Argument(help: "The job: \(JobSelector.help).")
    var job: String
    @OptionGroup var output: OutputOptions

    /// Ends the stream once everything recorded has been read.
    private struct EndOfRecord: Error {}

    func perform() async throws -> ExitStatus {
        try await GatewayConnection.with(QatHome()) { client in
            let id = try await JobSelector(client: client).id(job)
            let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
            let printer = EventPrinter(output.json ? .json : .plain)
            if job.lastSeq > 0 {
                try await printRecord(id, client, through: job.lastSeq, printer)
            }
            if !output.json {
                WatchCommand.showResults(of: job)
            }
        }
        return .succeeded
    }

    private func printRecord(
        _ id: String,
        _ client: RPCClient,
        through last: UInt64,
        _ printer: EventPrinter
    ) async throws {
        do {
            try await client.stream(QatMethods.watchJob, WatchJobRequest(jobID: id)) { event in
                if event.type == .progress || event.type == .metric {
                    printer.print(event)
                }
                if event.seq >= last {
                    throw EndOfRecord()
                }
            }
        } catch is EndOfRecord {
            return
        }
    }
}
