internal import CWire

/// A job's newest checkpoint, kept in the store so that any worker can go on from it.
public struct Checkpoint: WireMessage, Equatable {
    /// Steps finished in it.
    public var step: UInt64
    /// Its files, already put in the store.
    public var files: [OutputFile]

    /// Makes a message; every field has its wire default.
    public init(step: UInt64 = 0, files: [OutputFile] = []) {
        self.step = step
        self.files = files
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_checkpoint())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        step = reader.uint64(1)
        files = try reader.messages(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, step)
        writer.set(2, files)
    }
}

/// Makes files the job's newest checkpoint.
public struct SaveCheckpointRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// The lease's epoch.
    public var epoch: UInt64
    /// The worker.
    public var instance: String
    /// Its boot.
    public var bootID: String
    /// The checkpoint; its files are in the store.
    public var checkpoint: Checkpoint?

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        epoch: UInt64 = 0,
        instance: String = "",
        bootID: String = "",
        checkpoint: Checkpoint? = nil
    ) {
        self.jobID = jobID
        self.epoch = epoch
        self.instance = instance
        self.bootID = bootID
        self.checkpoint = checkpoint
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_save_checkpoint_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        epoch = reader.uint64(2)
        instance = try reader.text(3)
        bootID = try reader.text(4)
        checkpoint = try reader.message(5)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, epoch)
        writer.set(3, instance)
        writer.set(4, bootID)
        writer.set(5, checkpoint)
    }
}

/// Whether the checkpoint was taken.
public struct SaveCheckpointResponse: WireMessage, Equatable {
    /// False when the lease was lost, or the job has a newer one.
    public var accepted: Bool

    /// Makes a message; every field has its wire default.
    public init(accepted: Bool = false) {
        self.accepted = accepted
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_save_checkpoint_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        accepted = reader.bool(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, accepted)
    }
}

/// Waits until the worker is to do something else than it was last told.
public struct AwaitDirectiveRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// The lease's epoch.
    public var epoch: UInt64
    /// The worker.
    public var instance: String
    /// Its boot.
    public var bootID: String
    /// What the worker was last told.
    public var known: HeartbeatResponse.Directive
    /// How long to wait; at most 30.
    public var waitSeconds: UInt32
    /// Whether it can be told to pause; others are told to cancel.
    public var knowsPause: Bool

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        epoch: UInt64 = 0,
        instance: String = "",
        bootID: String = "",
        known: HeartbeatResponse.Directive = .continue,
        waitSeconds: UInt32 = 0,
        knowsPause: Bool = false
    ) {
        self.jobID = jobID
        self.epoch = epoch
        self.instance = instance
        self.bootID = bootID
        self.known = known
        self.waitSeconds = waitSeconds
        self.knowsPause = knowsPause
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_await_directive_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        epoch = reader.uint64(2)
        instance = try reader.text(3)
        bootID = try reader.text(4)
        known = try reader.enumeration(5)
        waitSeconds = reader.uint32(6)
        knowsPause = reader.bool(7)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, epoch)
        writer.set(3, instance)
        writer.set(4, bootID)
        writer.set(5, known)
        writer.set(6, waitSeconds)
        writer.set(7, knowsPause)
    }
}
