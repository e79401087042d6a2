internal import CWire

/// Adds bytes to a job's log.
public struct AppendLogRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// The lease's epoch.
    public var epoch: UInt64
    /// Where the bytes belong.
    public var offset: UInt64
    /// The bytes.
    public var data: [UInt8]
    /// The worker's boot.
    public var bootID: String

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        epoch: UInt64 = 0,
        offset: UInt64 = 0,
        data: [UInt8] = [],
        bootID: String = ""
    ) {
        self.jobID = jobID
        self.epoch = epoch
        self.offset = offset
        self.data = data
        self.bootID = bootID
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_append_log_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        epoch = reader.uint64(2)
        offset = reader.uint64(3)
        data = reader.bytes(4)
        bootID = try reader.text(5)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, epoch)
        writer.set(3, offset)
        writer.set(4, data)
        writer.set(5, bootID)
    }
}

/// Where the log now ends.
public struct AppendLogResponse: WireMessage, Equatable {
    /// Offset for the next append.
    public var nextOffset: UInt64

    /// Makes a message; every field has its wire default.
    public init(nextOffset: UInt64 = 0) {
        self.nextOffset = nextOffset
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_append_log_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        nextOffset = reader.uint64(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, nextOffset)
    }
}

/// Ends an attempt.
public struct CompleteLeaseRequest: WireMessage, Equatable {
    /// How an attempt ended.
    public enum Outcome: UInt32, Sendable, CaseIterable {
        /// It produced its outputs.
        case succeeded = 1
        /// It failed; the reason says why.
        case failed
        /// It stopped because it was told to.
        case cancelled
        /// The worker goes away, or has no room, or is to pause it; the job waits, which is no loss.
        case released
    }

    /// The job.
    public var jobID: String
    /// The lease's epoch.
    public var epoch: UInt64
    /// How it ended.
    public var outcome: Outcome
    /// Reason code of a failure.
    public var reason: String
    /// The reason as a sentence.
    public var message: String
    /// The results as JSON.
    public var resultsJSON: [UInt8]
    /// Files already put in the store.
    public var outputs: [OutputFile]
    /// The worker's boot.
    public var bootID: String

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        epoch: UInt64 = 0,
        outcome: Outcome = .succeeded,
        reason: String = "",
        message: String = "",
        resultsJSON: [UInt8] = [],
        outputs: [OutputFile] = [],
        bootID: String = ""
    ) {
        self.jobID = jobID
        self.epoch = epoch
        self.outcome = outcome
        self.reason = reason
        self.message = message
        self.resultsJSON = resultsJSON
        self.outputs = outputs
        self.bootID = bootID
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_complete_lease_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        epoch = reader.uint64(2)
        outcome = try reader.enumeration(3)
        reason = try reader.text(4)
        message = try reader.text(5)
        resultsJSON = reader.bytes(6)
        outputs = try reader.messages(7)
        bootID = try reader.text(8)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, epoch)
        writer.set(3, outcome)
        writer.set(4, reason)
        writer.set(5, message)
        writer.set(6, resultsJSON)
        writer.set(7, outputs)
        writer.set(8, bootID)
    }
}

/// Whether the end was accepted.
public struct CompleteLeaseResponse: WireMessage, Equatable {
    /// False when the lease was lost before.
    public var accepted: Bool

    /// Makes a message; every field has its wire default.
    public init(accepted: Bool = false) {
        self.accepted = accepted
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_complete_lease_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        accepted = reader.bool(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, accepted)
    }
}
