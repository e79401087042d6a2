internal import CWire

/// Asks which blobs the store lacks.
public struct FindMissingRequest: WireMessage, Equatable {
    /// At most 4,096 digests.
    public var digests: [SHA256Digest]

    /// Makes a message; every field has its wire default.
    public init(digests: [SHA256Digest] = []) {
        self.digests = digests
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_find_missing_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        digests = try reader.digests(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, digests)
    }
}

/// The blobs the store lacks.
public struct FindMissingResponse: WireMessage, Equatable {
    /// Those of the request that are absent.
    public var digests: [SHA256Digest]

    /// Makes a message; every field has its wire default.
    public init(digests: [SHA256Digest] = []) {
        self.digests = digests
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_find_missing_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        digests = try reader.digests(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, digests)
    }
}

/// Announces a blob; its bytes follow as BLOB frames.
public struct PutBlobRequest: WireMessage, Equatable {
    /// SHA-256 of the contents.
    public var digest: SHA256Digest
    /// Length in bytes.
    public var size: UInt64

    /// Makes a message; every field has its wire default.
    public init(digest: SHA256Digest = .zero, size: UInt64 = 0) {
        self.digest = digest
        self.size = size
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_put_blob_request())

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

/// Confirms that a blob is stored.
public struct PutBlobResponse: WireMessage, Equatable {
    /// Length in bytes.
    public var size: UInt64

    /// Makes a message; every field has its wire default.
    public init(size: UInt64 = 0) {
        self.size = size
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_put_blob_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        size = reader.uint64(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, size)
    }
}

/// Asks for a blob or a range of it.
public struct GetBlobRequest: WireMessage, Equatable {
    /// The blob.
    public var digest: SHA256Digest
    /// First byte wanted.
    public var offset: UInt64
    /// Bytes wanted; 0 means up to the end.
    public var length: UInt64

    /// Makes a message; every field has its wire default.
    public init(digest: SHA256Digest = .zero, offset: UInt64 = 0, length: UInt64 = 0) {
        self.digest = digest
        self.offset = offset
        self.length = length
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_get_blob_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        digest = try reader.digest(1)
        offset = reader.uint64(2)
        length = reader.uint64(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, digest)
        writer.set(2, offset)
        writer.set(3, length)
    }
}
