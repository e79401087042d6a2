internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

/// `cancel`: asks jobs to stop.
struct CancelCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancel jobs; they write a checkpoint first unless --now is given."
    )

    @Argument(help: "Jobs: \(JobSelector.help); a name that several have is not enough.")
    var ids: [String]
    @Flag(help: "Stop at once, without a checkpoint.")
    var now = false
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        try await JobVerb.forEach(ids) { id, client in
            let request = CancelJobRequest(jobID: id, now: now)
            let job = try await client.call(QatMethods.cancelJob, request)
            output.json
                ? Console.print(JobReport.json(job))
                : Console.print("\(job.jobID)  \(job.state)")
        }
    }
}

/// What verbs that change several jobs share.
enum JobVerb {
    /// Runs `body` for each job that is meant; one that is refused does not keep the others from it.
    ///
    /// - Returns: Success, or the exit of the first refusal; each is printed.
    static func forEach(
        _ words: [String],
        _ body: (_ id: String, RPCClient) async throws -> Void
    ) async throws -> ExitStatus {
        try await GatewayConnection.with(QatHome()) { client in
            let ids = try await JobSelector(client: client).ids(words, isHarmless: false)
            var status = ExitStatus.succeeded
            for id in ids {
                do {
                    try await body(id, client)
                } catch let error as RPCError where !error.isConnectionLoss && ids.count > 1 {
                    Console.complain(["job \(id): \(error.message)"])
                    status = status == .succeeded ? ExitStatus(error.code) : status
                }
            }
            return status
        }
    }
}

/// `retry`: puts jobs that ended back in the queue.
struct RetryCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Run failed or cancelled jobs again, from their last checkpoint."
    )

    @Argument(help: "Jobs: \(JobSelector.help); a name that several have is not enough.")
    var ids: [String]
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        try await JobVerb.forEach(ids) { id, client in
            let job = try await client.call(QatMethods.retryJob, RetryJobRequest(jobID: id))
            output.json
                ? Console.print(JobReport.json(job))
                : Console.print("\(job.jobID)  \(job.state)  attempt \(job.attempt)")
        }
    }
}

/// `generate`: not in this version.
struct GenerateCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Generate text from a model (not in this version)."
    )

    @Option(help: "A model: a path or job:ID.")
    var model: String?
    @Argument(help: "Prompts.")
    var prompts: [String] = []
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        throw ClientError(
            .usage,
            "unimplemented: generate is not in this version; "
                + "\"qat-client download\" fetches a model for other servers"
        )
    }
}
