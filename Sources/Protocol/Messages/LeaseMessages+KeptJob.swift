internal import CWire

/// A job of which a worker keeps files, though it does not run it.
public struct KeptJob: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// Of its newest checkpoint there; 0 without one.
    public var step: UInt64
    /// Whether finished outputs wait there for their upload.
    public var isFinished: Bool

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "", step: UInt64 = 0, isFinished: Bool = false) {
        self.jobID = jobID
        self.step = step
        self.isFinished = isFinished
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_kept_job())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        step = reader.uint64(2)
        isFinished = reader.bool(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, step)
        writer.set(3, isFinished)
    }
}

/// Asks which of a worker's files nobody needs.
public struct ReviewKeptRequest: WireMessage, Equatable {
    /// The worker.
    public var instance: String
    /// Its boot.
    public var bootID: String
    /// What it keeps; at most 256.
    public var jobs: [KeptJob]

    /// Makes a message; every field has its wire default.
    public init(instance: String = "", bootID: String = "", jobs: [KeptJob] = []) {
        self.instance = instance
        self.bootID = bootID
        self.jobs = jobs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_review_kept_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        instance = try reader.text(1)
        bootID = try reader.text(2)
        jobs = try reader.messages(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, instance)
        writer.set(2, bootID)
        writer.set(3, jobs)
    }
}

/// Which may go; what is in neither list is needed.
public struct ReviewKeptResponse: WireMessage, Equatable {
    /// Jobs that are no more, or of which the store has as much.
    public var stored: [String]
    /// Jobs that are over, or at work elsewhere, of which the worker has more than the store.
    public var over: [String]

    /// Makes a message; every field has its wire default.
    public init(stored: [String] = [], over: [String] = []) {
        self.stored = stored
        self.over = over
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_review_kept_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        stored = try reader.texts(1)
        over = try reader.texts(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, stored)
        writer.set(2, over)
    }
}
