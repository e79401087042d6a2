internal import CWire

/// One job of a pipeline.
public struct PipelineJob: WireMessage, Equatable {
    /// Its name within the pipeline.
    public var name: String
    /// The job, without a key; `job:NAME` and `after` may name jobs of the pipeline.
    public var job: SubmitJobRequest

    /// Makes a message; every field has its wire default.
    public init(name: String = "", job: SubmitJobRequest = SubmitJobRequest()) {
        self.name = name
        self.job = job
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_pipeline_job())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        name = try reader.text(1)
        job = try reader.message(2) ?? SubmitJobRequest()
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, name)
        writer.set(2, job)
    }
}

/// Asks for jobs that may refer to one another, all or none; the key makes a repeat harmless.
public struct SubmitPipelineRequest: WireMessage, Equatable {
    /// A name for people.
    public var name: String
    /// Submission key chosen by the client.
    public var key: String
    /// Its jobs.
    public var jobs: [PipelineJob]

    /// Makes a message; every field has its wire default.
    public init(name: String = "", key: String = "", jobs: [PipelineJob] = []) {
        self.name = name
        self.key = key
        self.jobs = jobs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_submit_pipeline_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        name = try reader.text(1)
        key = try reader.text(2)
        jobs = try reader.messages(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, name)
        writer.set(2, key)
        writer.set(3, jobs)
    }
}

/// Names the pipeline a submission made or found.
public struct SubmitPipelineResponse: WireMessage, Equatable {
    /// The pipeline.
    public var pipelineID: String
    /// False when the key already named this pipeline.
    public var created: Bool
    /// Its jobs, each after those that it waits for.
    public var jobs: [JobSummary]

    /// Makes a message; every field has its wire default.
    public init(pipelineID: String = "", created: Bool = false, jobs: [JobSummary] = []) {
        self.pipelineID = pipelineID
        self.created = created
        self.jobs = jobs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_submit_pipeline_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pipelineID = try reader.text(1)
        created = reader.bool(2)
        jobs = try reader.messages(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pipelineID)
        writer.set(2, created)
        writer.set(3, jobs)
    }
}

/// Asks for one pipeline.
public struct GetPipelineRequest: WireMessage, Equatable {
    /// The pipeline.
    public var pipelineID: String

    /// Makes a message; every field has its wire default.
    public init(pipelineID: String = "") {
        self.pipelineID = pipelineID
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_get_pipeline_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pipelineID = try reader.text(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pipelineID)
    }
}

/// Asks that every job of a pipeline be cancelled.
public struct CancelPipelineRequest: WireMessage, Equatable {
    /// The pipeline.
    public var pipelineID: String
    /// Whether to skip the final checkpoints.
    public var now: Bool

    /// Makes a message; every field has its wire default.
    public init(pipelineID: String = "", now: Bool = false) {
        self.pipelineID = pipelineID
        self.now = now
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_cancel_pipeline_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pipelineID = try reader.text(1)
        now = reader.bool(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pipelineID)
        writer.set(2, now)
    }
}

/// Asks that every failed or cancelled job of a pipeline run again.
public struct RetryPipelineRequest: WireMessage, Equatable {
    /// The pipeline.
    public var pipelineID: String

    /// Makes a message; every field has its wire default.
    public init(pipelineID: String = "") {
        self.pipelineID = pipelineID
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_retry_pipeline_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pipelineID = try reader.text(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pipelineID)
    }
}
