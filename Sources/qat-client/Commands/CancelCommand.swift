internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// `cancel`: asks jobs to stop.
struct CancelCommand: ClientVerb {
    static let doesMoreThanPrint = true
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancel jobs; they write a checkpoint first unless --now is given."
    )

    @Argument(help: "Jobs and pipelines: \(JobSelector.help); a name of several is not enough.")
    var ids: [String]
    @Flag(help: "Stop at once, without a checkpoint.")
    var now = false
    @OptionGroup var output: OutputOptions

    /// What is said of a job that has a worker.
    static let patience =
        "it ends at its next stopping point, which may take a while, with what a retry goes on from; "
        + "--now ends it at once"
    private static let drains =
        "it answers the requests that it has begun, for 90 s at most, and ends; --now ends it at once"

    func perform() async throws -> ExitStatus {
        try await JobVerb.forEach(ids, order: CancellationOrder.dependentsFirst) { target, client in
            switch target {
            case .job(let id):
                let request = CancelJobRequest(jobID: id, now: now)
                let job = try await client.call(QatMethods.cancelJob, request)
                JobVerb.report(job, json: output.json)
                if !now, job.state == JobState.cancelling.rawValue {
                    Console.note(job.kind == Kind.serve.rawValue ? Self.drains : Self.patience)
                }
            case .pipeline(let id):
                let request = CancelPipelineRequest(pipelineID: id, now: now)
                let pipeline = try await client.call(QatMethods.cancelPipeline, request)
                JobVerb.report(pipeline, json: output.json)
                if !now, pipeline.jobs.contains(where: { $0.state == JobState.cancelling.rawValue })
                {
                    Console.note(Self.patience)
                }
            }
        }
    }
}

/// What verbs of several jobs share.
enum JobVerb {
    /// Runs `body` for each job that is meant; one that is refused, or that there is not, does not keep the others
    /// from it.
    ///
    /// `order`: What comes first of several; the order in which they are named by default.
    ///
    /// - Returns: Success, or the exit of the first refusal; each is printed.
    static func forEach(
        _ words: [String],
        order: ([JobTarget], RPCClient) async throws -> [JobTarget] = { targets, _ in targets },
        _ body: (JobTarget, RPCClient) async throws -> Void
    ) async throws -> ExitStatus {
        try await GatewayConnection.with(QatHome()) { client in
            let (meant, status) = try await JobSelector(client: client).actionable(words)
            return try await each(of: try await order(meant, client), status) { target in
                try await body(target, client)
            }
        }
    }

    /// The same of jobs that are found already; `status` is what became of other words.
    static func each(
        of targets: [JobTarget],
        _ status: ExitStatus,
        _ body: (JobTarget) async throws -> Void
    ) async throws -> ExitStatus {
        var status = status
        for target in targets {
            do {
                try await body(target)
            } catch let error as RPCError where !error.isConnectionLoss && targets.count > 1 {
                Console.complain([complaint(error, of: target)])
                status = status == .succeeded ? ExitStatus(error) : status
            } catch let error as EndedAtOnce where targets.count > 1 {
                Console.complain(error.lines)
                status = status == .succeeded ? error.status : status
            } catch let error as EndedAtOnce {
                throw ClientError(error.status, error.lines)
            }
        }
        return status
    }

    /// A refusal's sentence, which names the job if it does not by itself.
    static func complaint(_ error: RPCError, of target: JobTarget) -> String {
        error.message.contains(target.id)
            ? error.message : "\(target.description): \(error.message)"
    }

    /// Throws if a job that was to go on ended again at once: what it waits for will not come.
    static func checkLife(of job: JobSummary) throws {
        guard hasFailed(job) else { return }
        throw EndedAtOnce(
            jobs: [job],
            lines: [
                "\(job.jobID) ended at once: \(job.reason): \(job.reasonMessage); retry what it waits "
                    + "for first"
            ]
        )
    }

    /// The same of jobs of a pipeline that was to go on, whatever the others do.
    ///
    /// `before`: The pipeline as it was then: what had ended and was left alone is not among them.
    static func checkLife(of pipeline: PipelineDetail, before: PipelineDetail) throws {
        let old = Dictionary(before.jobs.map { ($0.jobID, $0) }) { first, _ in first }
        let ended = pipeline.jobs.filter { job in
            guard hasFailed(job) else { return false }
            guard let old = old[job.jobID] else { return true }
            return old.state != job.state || old.finishedUnixMs != job.finishedUnixMs
        }
        guard !ended.isEmpty else { return }
        let isOver = JobState(rawValue: pipeline.summary.state)?.isTerminal == true
        throw EndedAtOnce(
            jobs: ended,
            lines: ended.map { job in
                "\(job.part) (\(job.jobID)) ended at once: \(job.reason): \(job.reasonMessage)"
            } + (isOver ? ["nothing of \(pipeline.summary.pipelineID) goes on"] : [])
        )
    }

    /// A pipeline as it stands now.
    static func pipeline(_ id: String, _ client: RPCClient) async throws -> PipelineDetail {
        try await client.call(QatMethods.getPipeline, GetPipelineRequest(pipelineID: id))
    }

    private static func hasFailed(_ job: JobSummary) -> Bool {
        [.failed, .cancelled].contains(JobState(rawValue: job.state))
    }

    /// Prints how a job stands now; `more` follows its state, for people.
    static func report(_ job: JobSummary, json: Bool, more: String = "") {
        json
            ? Console.print(JobAnswer.json(job))
            : Console.print("\(job.jobID)  \(job.state)\(more)")
    }

    /// Prints how a pipeline and its jobs stand now.
    static func report(_ pipeline: PipelineDetail, json: Bool) {
        guard !json else {
            Console.print(JobAnswer.json(pipeline))
            return
        }
        Console.print("\(pipeline.summary.pipelineID)  \(pipeline.summary.state)")
        for job in pipeline.jobs {
            Console.print(
                DisplayWidth.printable(
                    "  \(job.jobID)  \(job.state)  attempt \(job.attempt)  \(job.part)"
                )
            )
        }
    }
}

/// Jobs that were to go on and ended then and there.
struct EndedAtOnce: Error, Equatable {
    /// As of jobs that were waited for.
    let status: ExitStatus
    /// Which, and why.
    let lines: [String]

    init(jobs: [JobSummary], lines: [String]) {
        status = .worst(jobs.compactMap { ExitStatus(jobState: $0.state) })
        self.lines = lines
    }
}

/// `retry`: puts jobs that ended back in the queue.
struct RetryCommand: ClientVerb {
    static let doesMoreThanPrint = true
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Run failed or cancelled jobs again, from their last checkpoint.",
        discussion: """
            Of a pipeline every job that failed or was cancelled runs again, and with one of its jobs \
            those that ended because of it.
            """
    )

    @Argument(help: "Jobs and pipelines: \(JobSelector.help); a name of several is not enough.")
    var ids: [String]
    @Flag(help: "Jobs that ended because of one of these run again, too.")
    var withDependents = false
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        try await JobVerb.forEach(ids) { target, client in
            switch target {
            case .job(let id):
                let request = RetryJobRequest(jobID: id, withDependents: withDependents)
                let job = try await client.call(QatMethods.retryJob, request)
                JobVerb.report(job, json: output.json, more: "  attempt \(job.attempt)")
                Self.tellDependents(job)
                try JobVerb.checkLife(of: job)
            case .pipeline(let id):
                let before = try await JobVerb.pipeline(id, client)
                let request = RetryPipelineRequest(pipelineID: id)
                let pipeline = try await client.call(QatMethods.retryPipeline, request)
                JobVerb.report(pipeline, json: output.json)
                try JobVerb.checkLife(of: pipeline, before: before)
            }
        }
    }
}

extension RetryCommand {
    /// Says how many dependents came along, and how many did not.
    static func tellDependents(_ job: JobSummary) {
        func jobs(_ count: UInt32) -> String { count == 1 ? "1 dependent" : "\(count) dependents" }
        if job.dependentsRetried > 0 {
            Console.note("\(jobs(job.dependentsRetried)) of it put back with it")
        }
        if job.dependentsLeft > 0 {
            Console.note(
                "\(jobs(job.dependentsLeft)) beyond the quota of waiting jobs: left as they were; the same "
                    + "command takes them up when others have ended"
            )
        }
    }
}
