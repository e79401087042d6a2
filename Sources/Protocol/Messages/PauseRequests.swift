internal import CWire

/// Asks that a job be held back until it is resumed.
public struct PauseJobRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "") {
        self.jobID = jobID
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_pause_job_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
    }
}

/// Asks that a job that is held back go on.
public struct ResumeJobRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "") {
        self.jobID = jobID
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_resume_job_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
    }
}

/// Asks that every job of a pipeline that is not over be held back until it is resumed.
public struct PausePipelineRequest: WireMessage, Equatable {
    /// The pipeline.
    public var pipelineID: String

    /// Makes a message; every field has its wire default.
    public init(pipelineID: String = "") {
        self.pipelineID = pipelineID
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_pause_pipeline_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pipelineID = try reader.text(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pipelineID)
    }
}

/// Asks that every job of a pipeline that is held back go on.
public struct ResumePipelineRequest: WireMessage, Equatable {
    /// The pipeline.
    public var pipelineID: String

    /// Makes a message; every field has its wire default.
    public init(pipelineID: String = "") {
        self.pipelineID = pipelineID
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_resume_pipeline_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pipelineID = try reader.text(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pipelineID)
    }
}
