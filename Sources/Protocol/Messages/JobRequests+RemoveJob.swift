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
    /// Bytes of its artifacts that stay, of those that are open to the caller.
    public var keptBytes: UInt64
    /// A job of the caller's that refers to one of these; empty if none does.
    public var keptFor: String
    /// When those that no job refers to go at the latest, in Unix milliseconds; 0 if there are none.
    public var keptUntilUnixMs: Int64

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        freedBytes: UInt64 = 0,
        keptBytes: UInt64 = 0,
        keptFor: String = "",
        keptUntilUnixMs: Int64 = 0
    ) {
        self.jobID = jobID
        self.freedBytes = freedBytes
        self.keptBytes = keptBytes
        self.keptFor = keptFor
        self.keptUntilUnixMs = keptUntilUnixMs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_remove_job_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        freedBytes = reader.uint64(2)
        keptBytes = reader.uint64(3)
        keptFor = try reader.text(4)
        keptUntilUnixMs = reader.int64(5)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, freedBytes)
        writer.set(3, keptBytes)
        writer.set(4, keptFor)
        writer.set(5, keptUntilUnixMs)
    }
}
