internal import CWire

/// A worker's right to run one attempt of a job.
public struct Lease: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// `train`, `quantize`, `evaluate` or `serve`.
    public var kind: String
    /// The name its submitter gave it.
    public var name: String
    /// Number of this attempt, from 1.
    public var attempt: UInt32
    /// Fences every write of an older lease.
    public var epoch: UInt64
    /// The canonical specification.
    public var specJSON: [UInt8]
    /// Files the specification refers to.
    public var inputs: [Input]
    /// Where an earlier attempt came to, if it came anywhere.
    public var checkpoint: Checkpoint?

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        kind: String = "",
        name: String = "",
        attempt: UInt32 = 0,
        epoch: UInt64 = 0,
        specJSON: [UInt8] = [],
        inputs: [Input] = [],
        checkpoint: Checkpoint? = nil
    ) {
        self.jobID = jobID
        self.kind = kind
        self.name = name
        self.attempt = attempt
        self.epoch = epoch
        self.specJSON = specJSON
        self.inputs = inputs
        self.checkpoint = checkpoint
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_lease())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        kind = try reader.text(2)
        name = try reader.text(3)
        attempt = reader.uint32(4)
        epoch = reader.uint64(5)
        specJSON = reader.bytes(6)
        inputs = try reader.messages(7)
        checkpoint = try reader.message(8)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, kind)
        writer.set(3, name)
        writer.set(4, attempt)
        writer.set(5, epoch)
        writer.set(6, specJSON)
        writer.set(7, inputs)
        writer.set(8, checkpoint)
    }
}

/// A lease, or nothing when the wait ended.
public struct AcquireLeaseResponse: WireMessage, Equatable {
    /// The lease, if a job was there.
    public var lease: Lease?

    /// Makes a message; every field has its wire default.
    public init(lease: Lease? = nil) {
        self.lease = lease
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_acquire_lease_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        lease = try reader.message(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, lease)
    }
}

/// Extends a lease and reports what happened.
public struct HeartbeatRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// The lease's epoch.
    public var epoch: UInt64
    /// The worker.
    public var instance: String
    /// Its boot.
    public var bootID: String
    /// News since the last heartbeat; `seq` counts those of the lease, from 1.
    public var events: [JobEvent]
    /// What the worker is doing.
    public var runningPhase: String
    /// Whether it can be told to pause; others are told to cancel.
    public var knowsPause: Bool

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        epoch: UInt64 = 0,
        instance: String = "",
        bootID: String = "",
        events: [JobEvent] = [],
        runningPhase: String = "",
        knowsPause: Bool = false
    ) {
        self.jobID = jobID
        self.epoch = epoch
        self.instance = instance
        self.bootID = bootID
        self.events = events
        self.runningPhase = runningPhase
        self.knowsPause = knowsPause
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_heartbeat_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        epoch = reader.uint64(2)
        instance = try reader.text(3)
        bootID = try reader.text(4)
        events = try reader.messages(5)
        runningPhase = try reader.text(6)
        knowsPause = reader.bool(7)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, epoch)
        writer.set(3, instance)
        writer.set(4, bootID)
        writer.set(5, events)
        writer.set(6, runningPhase)
        writer.set(7, knowsPause)
    }
}

/// What the worker must do.
public struct HeartbeatResponse: WireMessage, Equatable {
    /// What a worker is told.
    public enum Directive: UInt32, Sendable, CaseIterable {
        /// Go on.
        case `continue` = 1
        /// Write a checkpoint, then stop.
        case cancel
        /// Stop at once.
        case cancelNow
        /// The lease is gone: stop and discard.
        case lost
        /// Write a checkpoint, stop, and hand the lease back; told to who knows it.
        case pause
    }

    /// The order.
    public var directive: Directive

    /// Makes a message; every field has its wire default.
    public init(directive: Directive = .continue) {
        self.directive = directive
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_heartbeat_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        directive = try reader.enumeration(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, directive)
    }
}
