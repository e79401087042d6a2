internal import CWire

/// Makes a worker known to the gateway.
public struct RegisterWorkerRequest: WireMessage, Equatable {
    /// `quant`, `train` or `eval`.
    public var role: String
    /// Its instance name.
    public var instance: String
    /// Changes each time the worker starts.
    public var bootID: String
    /// Where it listens.
    public var address: String
    /// Kinds of job it runs.
    public var kinds: [String]
    /// Threads it may use.
    public var cores: UInt32
    /// Memory it may use.
    public var memoryBytes: UInt64
    /// Its version.
    public var version: String
    /// What it computes with, `cpu` or `gpu`; empty means `cpu`.
    public var accelerator: String
    /// Its processors; 0 means one.
    public var devices: UInt32
    /// Nodes it stands for; 0 means one.
    public var nodes: UInt32
    /// When the first of its certificates ends, in Unix milliseconds; 0 is unknown.
    public var certificateEndsUnixMs: Int64
    /// Names its state folder, which one process at a time can lock; empty is unknown.
    public var stateID: String
    /// Whether it runs programs that a model wrote.
    public var runsCode: Bool

    /// Makes a message; every field has its wire default.
    public init(
        role: String = "",
        instance: String = "",
        bootID: String = "",
        address: String = "",
        kinds: [String] = [],
        cores: UInt32 = 0,
        memoryBytes: UInt64 = 0,
        version: String = "",
        accelerator: String = "",
        devices: UInt32 = 0,
        nodes: UInt32 = 0,
        certificateEndsUnixMs: Int64 = 0,
        stateID: String = "",
        runsCode: Bool = false
    ) {
        self.role = role
        self.instance = instance
        self.bootID = bootID
        self.address = address
        self.kinds = kinds
        self.cores = cores
        self.memoryBytes = memoryBytes
        self.version = version
        self.accelerator = accelerator
        self.devices = devices
        self.nodes = nodes
        self.certificateEndsUnixMs = certificateEndsUnixMs
        self.stateID = stateID
        self.runsCode = runsCode
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_register_worker_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        role = try reader.text(1)
        instance = try reader.text(2)
        bootID = try reader.text(3)
        address = try reader.text(4)
        kinds = try reader.texts(5)
        cores = reader.uint32(6)
        memoryBytes = reader.uint64(7)
        version = try reader.text(8)
        accelerator = try reader.text(9)
        devices = reader.uint32(10)
        nodes = reader.uint32(11)
        certificateEndsUnixMs = reader.int64(12)
        stateID = try reader.text(13)
        runsCode = reader.bool(14)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, role)
        writer.set(2, instance)
        writer.set(3, bootID)
        writer.set(4, address)
        writer.set(5, kinds)
        writer.set(6, cores)
        writer.set(7, memoryBytes)
        writer.set(8, version)
        writer.set(9, accelerator)
        writer.set(10, devices)
        writer.set(11, nodes)
        writer.set(12, certificateEndsUnixMs)
        writer.set(13, stateID)
        writer.set(14, runsCode)
    }
}

/// The gateway's terms for leases.
public struct RegisterWorkerResponse: WireMessage, Equatable {
    /// How long a lease lasts without a heartbeat.
    public var leaseSeconds: UInt32
    /// How often to send a heartbeat.
    public var heartbeatSeconds: UInt32

    /// Makes a message; every field has its wire default.
    public init(leaseSeconds: UInt32 = 0, heartbeatSeconds: UInt32 = 0) {
        self.leaseSeconds = leaseSeconds
        self.heartbeatSeconds = heartbeatSeconds
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_register_worker_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        leaseSeconds = reader.uint32(1)
        heartbeatSeconds = reader.uint32(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, leaseSeconds)
        writer.set(2, heartbeatSeconds)
    }
}

/// Waits for a job.
public struct AcquireLeaseRequest: WireMessage, Equatable {
    /// The worker.
    public var instance: String
    /// Its boot.
    public var bootID: String
    /// How long to wait; at most 30.
    public var waitSeconds: UInt32
    /// Why it takes no job now; then it gets none.
    public var obstacle: String
    /// This process takes no job any more; it is answered at once.
    public var stopping: Bool

    /// Makes a message; every field has its wire default.
    public init(
        instance: String = "",
        bootID: String = "",
        waitSeconds: UInt32 = 0,
        obstacle: String = "",
        stopping: Bool = false
    ) {
        self.instance = instance
        self.bootID = bootID
        self.waitSeconds = waitSeconds
        self.obstacle = obstacle
        self.stopping = stopping
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_acquire_lease_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        instance = try reader.text(1)
        bootID = try reader.text(2)
        waitSeconds = reader.uint32(3)
        obstacle = try reader.text(4)
        stopping = reader.bool(5)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, instance)
        writer.set(2, bootID)
        writer.set(3, waitSeconds)
        writer.set(4, obstacle)
        writer.set(5, stopping)
    }
}
