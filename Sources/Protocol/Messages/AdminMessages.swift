internal import CWire

/// One daemon as the gateway sees it.
public struct ServiceInfo: WireMessage, Equatable {
    /// `gateway`, `quant`, `train` or `eval`.
    public var role: String
    /// Its instance name.
    public var instance: String
    /// Where it listens.
    public var address: String
    /// `ready`, `busy`, `unready` (takes no jobs, as its obstacle says) or `lost`.
    public var state: String
    /// Jobs it runs.
    public var running: UInt32
    /// When it last called, in Unix milliseconds.
    public var lastSeenUnixMs: Int64
    /// When the first of its certificates ends, in Unix milliseconds; 0 is unknown.
    public var certificateEndsUnixMs: Int64
    /// Bytes of memory that its jobs may use; 0 is unknown.
    public var memoryBytes: UInt64 = 0

    /// Makes a message; every field has its wire default.
    public init(
        role: String = "",
        instance: String = "",
        address: String = "",
        state: String = "",
        running: UInt32 = 0,
        lastSeenUnixMs: Int64 = 0,
        certificateEndsUnixMs: Int64 = 0
    ) {
        self.role = role
        self.instance = instance
        self.address = address
        self.state = state
        self.running = running
        self.lastSeenUnixMs = lastSeenUnixMs
        self.certificateEndsUnixMs = certificateEndsUnixMs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_service_info())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        role = try reader.text(1)
        instance = try reader.text(2)
        address = try reader.text(3)
        state = try reader.text(4)
        running = reader.uint32(5)
        lastSeenUnixMs = reader.int64(6)
        certificateEndsUnixMs = reader.int64(7)
        memoryBytes = reader.uint64(8)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, role)
        writer.set(2, instance)
        writer.set(3, address)
        writer.set(4, state)
        writer.set(5, running)
        writer.set(6, lastSeenUnixMs)
        writer.set(7, certificateEndsUnixMs)
        writer.set(8, memoryBytes)
    }
}

/// Asks for the suite's state.
public struct StatusRequest: WireMessage, Equatable {
    /// Jobs wanted; 0 lets the server choose.
    public var pageSize: UInt32

    /// Makes a message; every field has its wire default.
    public init(pageSize: UInt32 = 0) {
        self.pageSize = pageSize
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_status_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pageSize = reader.uint32(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pageSize)
    }
}

/// The suite's state: services and the newest jobs.
public struct StatusResponse: WireMessage, Equatable {
    /// The gateway's version.
    public var version: String
    /// Seconds since the gateway started.
    public var uptimeSeconds: Double
    /// Workers known, the first 128; not the gateway, which answers.
    public var services: [ServiceInfo]
    /// The newest jobs.
    public var jobs: [JobSummary]
    /// When the first of the gateway's certificates ends, in Unix milliseconds; 0 is unknown.
    public var certificateEndsUnixMs: Int64
    /// The pipelines that these jobs are of.
    public var pipelines: [PipelineSummary]

    /// Makes a message; every field has its wire default.
    public init(
        version: String = "",
        uptimeSeconds: Double = 0,
        services: [ServiceInfo] = [],
        jobs: [JobSummary] = [],
        certificateEndsUnixMs: Int64 = 0,
        pipelines: [PipelineSummary] = []
    ) {
        self.version = version
        self.uptimeSeconds = uptimeSeconds
        self.services = services
        self.jobs = jobs
        self.certificateEndsUnixMs = certificateEndsUnixMs
        self.pipelines = pipelines
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_status_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        version = try reader.text(1)
        uptimeSeconds = reader.double(2)
        services = try reader.messages(3)
        jobs = try reader.messages(4)
        certificateEndsUnixMs = reader.int64(5)
        pipelines = try reader.messages(6)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, version)
        writer.set(2, uptimeSeconds)
        writer.set(3, services)
        writer.set(4, jobs)
        writer.set(5, certificateEndsUnixMs)
        writer.set(6, pipelines)
    }
}

/// Asks whether a daemon serves.
public struct HealthCheckRequest: WireMessage, Equatable {
    /// Makes a message; every field has its wire default.
    public init() {}

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_health_check_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
    }
}

/// Whether a daemon serves.
public struct HealthCheckResponse: WireMessage, Equatable {
    /// A daemon's verdict on itself.
    public enum Status: UInt32, Sendable, CaseIterable {
        /// It takes calls.
        case serving = 1
        /// It does not take calls.
        case notServing
    }

    /// Its verdict.
    public var status: Status
    /// Why it does not serve, or what it does.
    public var message: String

    /// Makes a message; every field has its wire default.
    public init(status: Status = .serving, message: String = "") {
        self.status = status
        self.message = message
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_health_check_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        status = try reader.enumeration(1)
        message = try reader.text(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, status)
        writer.set(2, message)
    }
}
