internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

/// `cancel`: asks a job to stop.
struct CancelCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancel a job; it writes a checkpoint first unless --now is given."
    )

    @Argument(help: "The job's id.")
    var id: String
    @Flag(help: "Stop at once, without a checkpoint.")
    var now = false
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        let request = CancelJobRequest(jobID: id, now: now)
        let job = try await GatewayConnection.with(QatHome()) { client in
            try await client.call(QatMethods.cancelJob, request)
        }
        output.json
            ? Console.print(JobReport.json(job))
            : Console.print("\(job.jobID)  \(job.state)")
        return .succeeded
    }
}

/// `retry`: puts a job that ended back in the queue.
struct RetryCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Run a failed or cancelled job again, from its last checkpoint."
    )

    @Argument(help: "The job's id.")
    var id: String
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        let request = RetryJobRequest(jobID: id)
        let job = try await GatewayConnection.with(QatHome()) { client in
            try await client.call(QatMethods.retryJob, request)
        }
        output.json
            ? Console.print(JobReport.json(job))
            : Console.print("\(job.jobID)  \(job.state)  attempt \(job.attempt)")
        return .succeeded
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
