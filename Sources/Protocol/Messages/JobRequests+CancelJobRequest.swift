internal import CWire

/// Asks that a job be cancelled.
public struct CancelJobRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// Whether to skip the final checkpoint.
    public var now: Bool

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "", now: Bool = false) {
        self.jobID = jobID
        self.now = now
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_cancel_job_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        now = reader.bool(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, now)
    }
}

/// Asks that a failed or cancelled job run again.
public struct RetryJobRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// Whether those that ended because of it run again, too.
    public var withDependents: Bool

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "", withDependents: Bool = false) {
        self.jobID = jobID
        self.withDependents = withDependents
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_retry_job_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        withDependents = reader.bool(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, withDependents)
    }
}

/// Asks for a job's log from one byte on.
public struct JobLogsRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// First byte wanted.
    public var offset: UInt64
    /// Whether to wait for more until the job ends.
    public var follow: Bool

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "", offset: UInt64 = 0, follow: Bool = false) {
        self.jobID = jobID
        self.offset = offset
        self.follow = follow
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_job_logs_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        offset = reader.uint64(2)
        follow = reader.bool(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, offset)
        writer.set(3, follow)
    }
}

/// A stretch of a job's log.
public struct LogChunk: WireMessage, Equatable {
    /// Position of its first byte.
    public var offset: UInt64
    /// The bytes.
    public var data: [UInt8]

    /// Makes a message; every field has its wire default.
    public init(offset: UInt64 = 0, data: [UInt8] = []) {
        self.offset = offset
        self.data = data
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_log_chunk())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        offset = reader.uint64(1)
        data = reader.bytes(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, offset)
        writer.set(2, data)
    }
}
