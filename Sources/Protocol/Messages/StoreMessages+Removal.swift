internal import CWire

/// Asks that blobs be given up.
public struct RemoveBlobsRequest: WireMessage, Equatable {
    /// At most 256.
    public var digests: [SHA256Digest]

    /// Makes a message; every field has its wire default.
    public init(digests: [SHA256Digest] = []) {
        self.digests = digests
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_remove_blobs_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        digests = try reader.digests(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, digests)
    }
}

/// What became of a blob that was to be given up.
public struct RemovedBlob: WireMessage, Equatable {
    /// Whether it is gone.
    public enum Outcome: UInt32, Sendable, CaseIterable {
        /// It is gone.
        case removed = 1
        /// It is the caller's no more; others have it still.
        case closed
        /// It stays; the message says why.
        case refused
    }

    /// The blob.
    public var digest: SHA256Digest
    /// Length in bytes; 0 if it was not stored.
    public var size: UInt64
    /// What became of it.
    public var outcome: Outcome
    /// Why, as a sentence.
    public var message: String

    /// Makes a message; every field has its wire default.
    public init(
        digest: SHA256Digest = .zero,
        size: UInt64 = 0,
        outcome: Outcome = .removed,
        message: String = ""
    ) {
        self.digest = digest
        self.size = size
        self.outcome = outcome
        self.message = message
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_removed_blob())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        digest = try reader.digest(1)
        size = reader.uint64(2)
        outcome = try reader.enumeration(3)
        message = try reader.text(4)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, digest)
        writer.set(2, size)
        writer.set(3, outcome)
        writer.set(4, message)
    }
}

/// What became of each blob, in the order asked.
public struct RemoveBlobsResponse: WireMessage, Equatable {
    /// One for each digest.
    public var blobs: [RemovedBlob]

    /// Makes a message; every field has its wire default.
    public init(blobs: [RemovedBlob] = []) {
        self.blobs = blobs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_remove_blobs_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        blobs = try reader.messages(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, blobs)
    }
}

/// Asks that what nobody needs be removed: of the caller's, or, for operators, of everybody's.
public struct CollectGarbageRequest: WireMessage, Equatable {
    /// Whether to tell only what would go.
    public var dryRun: Bool
    /// Seconds since an upload after which it may go; nil is the gateway's own setting.
    public var olderThanSeconds: Int64?

    /// Makes a message; every field has its wire default.
    public init(dryRun: Bool = false, olderThanSeconds: Int64? = nil) {
        self.dryRun = dryRun
        self.olderThanSeconds = olderThanSeconds
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_collect_garbage_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        dryRun = reader.bool(1)
        olderThanSeconds = reader.optionalInt64(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, dryRun)
        writer.set(2, olderThanSeconds)
    }
}

/// One blob that was removed, or would be.
public struct CollectedBlob: WireMessage, Equatable {
    /// The blob.
    public var digest: SHA256Digest
    /// Length in bytes.
    public var size: UInt64

    /// Makes a message; every field has its wire default.
    public init(digest: SHA256Digest = .zero, size: UInt64 = 0) {
        self.digest = digest
        self.size = size
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_collected_blob())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        digest = try reader.digest(1)
        size = reader.uint64(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, digest)
        writer.set(2, size)
    }
}
