internal import CWire

/// Asks that every stored blob be read and compared with its digest.
public struct VerifyArtifactsRequest: WireMessage, Equatable {
    /// Makes a message.
    public init() {}

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_verify_artifacts_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
    }
}

/// One blob that is not what it should be.
public struct ArtifactFault: WireMessage, Equatable {
    /// The blob.
    public var digest: SHA256Digest
    /// Whether it is not stored, rather than damaged and set aside.
    public var missing: Bool
    /// What was found, as a sentence.
    public var message: String
    /// Jobs that refer to it, the first 64.
    public var jobIDs: [String]
    /// How many refer to it.
    public var jobs: UInt64

    /// Makes a message; every field has its wire default.
    public init(
        digest: SHA256Digest = .zero,
        missing: Bool = false,
        message: String = "",
        jobIDs: [String] = [],
        jobs: UInt64 = 0
    ) {
        self.digest = digest
        self.missing = missing
        self.message = message
        self.jobIDs = jobIDs
        self.jobs = jobs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_artifact_fault())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        digest = try reader.digest(1)
        missing = reader.bool(2)
        message = try reader.text(3)
        jobIDs = try reader.texts(4)
        jobs = reader.uint64(5)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, digest)
        writer.set(2, missing)
        writer.set(3, message)
        writer.set(4, jobIDs)
        writer.set(5, jobs)
    }
}

/// How far the reading has come: sent now and then, with each fault, and at the end.
public struct VerifyArtifactsReport: WireMessage, Equatable {
    /// Blobs read.
    public var checked: UInt64
    /// Bytes read.
    public var bytes: UInt64
    /// Faults found.
    public var faults: UInt64
    /// A fault, if this report is about one.
    public var fault: ArtifactFault?

    /// Makes a message; every field has its wire default.
    public init(
        checked: UInt64 = 0,
        bytes: UInt64 = 0,
        faults: UInt64 = 0,
        fault: ArtifactFault? = nil
    ) {
        self.checked = checked
        self.bytes = bytes
        self.faults = faults
        self.fault = fault
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_verify_artifacts_report())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        checked = reader.uint64(1)
        bytes = reader.uint64(2)
        faults = reader.uint64(3)
        fault = try reader.message(4)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, checked)
        writer.set(2, bytes)
        writer.set(3, faults)
        writer.set(4, fault)
    }
}
