internal import CWire

/// Asks that a job that ended be removed with all that belongs to it, or all jobs of a pipeline.
public struct RemoveJobRequest: WireMessage, Equatable {
    /// The job, or the pipeline.
    public var jobID: String

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "") {
        self.jobID = jobID
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_remove_job_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
    }
}

/// The job is gone.
public struct RemoveJobResponse: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// Bytes of artifacts that went with it.
    public var freedBytes: UInt64

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "", freedBytes: UInt64 = 0) {
        self.jobID = jobID
        self.freedBytes = freedBytes
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_remove_job_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        freedBytes = reader.uint64(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, freedBytes)
    }
}
