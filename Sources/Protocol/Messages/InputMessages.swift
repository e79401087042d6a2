internal import CWire

/// One field of a request that was refused, and why.
public struct FieldViolation: WireMessage, Equatable {
    /// JSON pointer or field path of the offending value.
    public var path: String
    /// What is wrong with it and what is accepted.
    public var description: String

    /// Makes a message; every field has its wire default.
    public init(path: String = "", description: String = "") {
        self.path = path
        self.description = description
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_field_violation())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        path = try reader.text(1)
        description = try reader.text(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, path)
        writer.set(2, description)
    }
}

/// One file of a job's input, held in the store by its digest.
public struct InputFile: WireMessage, Equatable {
    /// Name relative to the input's root; empty for a single file.
    public var path: String
    /// SHA-256 of the contents.
    public var digest: SHA256Digest
    /// Length in bytes.
    public var size: UInt64

    /// Makes a message; every field has its wire default.
    public init(path: String = "", digest: SHA256Digest = .zero, size: UInt64 = 0) {
        self.path = path
        self.digest = digest
        self.size = size
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_input_file())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        path = try reader.text(1)
        digest = try reader.digest(2)
        size = reader.uint64(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, path)
        writer.set(2, digest)
        writer.set(3, size)
    }
}

/// What one pointer of a job's specification resolves to.
public struct Input: WireMessage, Equatable {
    /// JSON pointer in the specification, such as `/data/train/0`.
    public var pointer: String
    /// What the job's file says, for people; `job:ID` or `job:ID/output` for a job's output.
    public var source: String
    /// The files, in a stable order.
    public var files: [InputFile]

    /// Makes a message; every field has its wire default.
    public init(pointer: String = "", source: String = "", files: [InputFile] = []) {
        self.pointer = pointer
        self.source = source
        self.files = files
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_input())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pointer = try reader.text(1)
        source = try reader.text(2)
        files = try reader.messages(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pointer)
        writer.set(2, source)
        writer.set(3, files)
    }
}

/// One file that a job produced.
public struct OutputFile: WireMessage, Equatable {
    /// Relative name, such as `model/config.json`.
    public var name: String
    /// SHA-256 of the contents.
    public var digest: SHA256Digest
    /// Length in bytes.
    public var size: UInt64

    /// Makes a message; every field has its wire default.
    public init(name: String = "", digest: SHA256Digest = .zero, size: UInt64 = 0) {
        self.name = name
        self.digest = digest
        self.size = size
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_output_file())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        name = try reader.text(1)
        digest = try reader.digest(2)
        size = reader.uint64(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, name)
        writer.set(2, digest)
        writer.set(3, size)
    }
}
