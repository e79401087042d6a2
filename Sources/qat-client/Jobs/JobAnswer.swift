internal import JobSpecs
internal import Protocol

/// The JSON shapes that scripts rely on.
enum JobAnswer {
    /// An event of a job.
    static func json(_ event: JobEvent) -> JSONValue {
        var members: [String: JSONValue] = [
            "job_id": .string(event.jobID),
            "seq": .number(Double(event.seq)),
            "time": .string(Quantities.timestamp(unixMs: event.timeUnixMs)),
            "type": .string(typeName(event.type)),
        ]
        members["state"] = text(event.state)
        members["reason"] = text(event.reason)
        members["message"] = text(event.message)
        if let progress = event.progress {
            members["step"] = .number(Double(progress.step))
            members["total_steps"] = .number(Double(progress.totalSteps))
            members["loss"] = progress.loss.map(number)
            members["lr"] = progress.learningRate.map(number)
            members["tokens_per_s"] = progress.tokensPerSecond.map(number)
            members["eta_s"] = progress.etaSeconds.map(number)
            members["precision"] = text(progress.precision)
            members["phase"] = text(progress.phase)
        }
        if !event.metricsJSON.isEmpty {
            members["metrics"] = document(event.metricsJSON)
        }
        return .object(members)
    }

    /// A job in the status list.
    static func json(_ job: JobSummary) -> JSONValue {
        let progress = job.progress
        var course: [String: JSONValue] = [
            "step": .number(Double(progress.step)),
            "total_steps": .number(Double(progress.totalSteps)),
            "loss": progress.loss.map(number) ?? .null,
            "eta_s": progress.etaSeconds.map(number) ?? .null,
        ]
        course["phase"] = text(progress.phase)
        course["precision"] = text(progress.precision)
        var members: [String: JSONValue] = [
            "job_id": .string(job.jobID),
            "kind": .string(job.kind),
            "name": .string(job.name),
            "state": .string(job.state),
            "attempt": .number(Double(job.attempt)),
            "progress": .object(course),
            "created_at": .string(Quantities.timestamp(unixMs: job.createdUnixMs)),
        ]
        members["reason"] = text(job.reason)
        members["message"] = text(job.reasonMessage)
        members["owner"] = text(job.owner)
        members["wait_reason"] = text(job.waitReason)
        members["started_at"] = job.startedUnixMs.map {
            .string(Quantities.timestamp(unixMs: $0))
        }
        members["finished_at"] = job.finishedUnixMs.map {
            .string(Quantities.timestamp(unixMs: $0))
        }
        members["pipeline"] = text(job.pipelineID)
        members["part"] = text(job.part)
        members["reused_from"] = text(job.reusedFrom)
        if job.isReusedRemoved {
            members["reused_from_removed"] = .boolean(true)
        }
        if job.dependentsRetried != 0 {
            members["dependents_retried"] = .number(Double(job.dependentsRetried))
        }
        if job.dependentsLeft != 0 {
            members["dependents_left"] = .number(Double(job.dependentsLeft))
        }
        if job.priority != 0 {
            members["priority"] = .number(Double(job.priority))
        }
        if job.deadlineUnixMs != 0 {
            members["deadline"] = .string(Quantities.timestamp(unixMs: job.deadlineUnixMs))
        }
        if !job.after.isEmpty {
            members["after"] = .array(job.after.map(JSONValue.string))
        }
        if job.cancelRequested {
            members["cancel_requested"] = .boolean(true)
        }
        return .object(members)
    }

    /// A pipeline in the status list.
    static func json(_ pipeline: PipelineSummary) -> JSONValue {
        var members: [String: JSONValue] = [
            "pipeline_id": .string(pipeline.pipelineID),
            "name": .string(pipeline.name),
            "state": .string(pipeline.state),
            "created_at": .string(Quantities.timestamp(unixMs: pipeline.createdUnixMs)),
            "job_count": .number(Double(pipeline.jobs)),
            "succeeded": .number(Double(pipeline.succeeded)),
            "ended": .number(Double(pipeline.ended)),
        ]
        members["owner"] = text(pipeline.owner)
        members["finished_at"] = pipeline.finishedUnixMs.map {
            .string(Quantities.timestamp(unixMs: $0))
        }
        return .object(members)
    }

    /// A pipeline with its jobs.
    static func json(_ pipeline: PipelineDetail) -> JSONValue {
        var members = json(pipeline.summary).objectValue ?? [:]
        members["jobs"] = .array(pipeline.jobs.map(json))
        return .object(members)
    }

    /// A job in detail: the summary's members, its outputs and its results.
    static func json(_ job: JobDetail) -> JSONValue {
        var members = json(job.summary).objectValue ?? [:]
        members["outputs"] = .array(job.outputs.map(json))
        members["results"] = job.resultsJSON.isEmpty ? .null : document(job.resultsJSON)
        return .object(members)
    }

    /// What follows the events of a job that has ended: the job in detail, of the type `job`.
    static func lastLine(of job: JobDetail) -> JSONValue {
        var members = json(job).objectValue ?? [:]
        members["type"] = .string("job")
        return .object(members)
    }

    /// An output of a job.
    static func json(_ output: OutputFile) -> JSONValue {
        .object([
            "name": .string(output.name),
            "digest": .string("sha256:" + output.digest.hex),
            "size": .number(Double(output.size)),
        ])
    }

    /// The whole suite.
    static func json(_ status: StatusResponse, address: String) -> JSONValue {
        .object([
            "gateway": .object([
                "version": .string(status.version),
                "uptime_s": number(status.uptimeSeconds),
                "address": .string(address),
                "certificate_ends_at": timestamp(status.certificateEndsUnixMs),
            ]),
            "services": .array(status.services.map(json)),
            "jobs": .array(status.jobs.map(json)),
            "pipelines": .array(status.pipelines.map(json)),
        ])
    }

    private static func json(_ service: ServiceInfo) -> JSONValue {
        .object([
            "role": .string(service.role),
            "instance": .string(service.instance),
            "address": .string(service.address),
            "state": .string(service.state),
            "running": .number(Double(service.running)),
            "last_seen_at": .string(Quantities.timestamp(unixMs: service.lastSeenUnixMs)),
            "certificate_ends_at": timestamp(service.certificateEndsUnixMs),
            "memory_bytes": service.memoryBytes > 0
                ? .number(Double(service.memoryBytes)) : .null,
        ])
    }

    private static func typeName(_ type: JobEvent.EventType) -> String {
        switch type {
        case .state: "state"
        case .progress: "progress"
        case .metric: "metric"
        case .log: "log"
        }
    }

    private static func timestamp(_ unixMs: Int64) -> JSONValue {
        unixMs > 0 ? .string(Quantities.timestamp(unixMs: unixMs)) : .null
    }

    /// `from job ID`, and that it is no more; empty of a job that ran itself.
    static func origin(of job: JobSummary) -> String {
        guard !job.reusedFrom.isEmpty else { return "" }
        return "from job \(job.reusedFrom)"
            + (job.isReusedRemoved ? ", which was removed since" : "")
    }

    private static func text(_ text: String) -> JSONValue? {
        text.isEmpty ? nil : .string(text)
    }

    // JSON has no infinity and no NaN; a loss that diverged is null.
    private static func number(_ value: Double) -> JSONValue {
        value.isFinite ? .number(value) : .null
    }

    static func document(_ bytes: [UInt8]) -> JSONValue {
        (try? JSONParser.parse(bytes).value) ?? .string(String(decoding: bytes, as: UTF8.self))
    }
}
