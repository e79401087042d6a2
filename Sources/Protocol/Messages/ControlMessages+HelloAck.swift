internal import CWire

/// A server's answer: its limits, the choice made, and whom it sees.
package struct HelloAck: WireMessage, Equatable {
    /// The minor version in force.
    package var minor: UInt32
    /// Features in force.
    package var features: UInt64
    /// Longest payload of one frame, in force both ways.
    package var maxFrame: UInt32
    /// Longest message, in force both ways.
    package var maxMessage: UInt32
    /// Bytes the server accepts on the connection at first.
    package var connectionCredit: UInt32
    /// Bytes the server accepts on one stream at first.
    package var streamCredit: UInt32
    /// Calls that may run at once.
    package var maxStreams: UInt32
    /// Shortest interval between pings it accepts.
    package var pingMinMs: UInt32
    /// How long it waits for a pong.
    package var pingTimeoutMs: UInt32
    /// Compressor in force; empty means none.
    package var compressor: String
    /// Version of the program.
    package var build: String
    /// Which instance this is.
    package var instanceID: String
    /// Changes each time the program starts.
    package var bootID: String
    /// The client's identity as the server sees it.
    package var principal: String
    /// The server's clock, in Unix milliseconds.
    package var serverTimeUnixMs: Int64
    /// SHA-256 over the schema's method and field names.
    package var descriptorDigest: [UInt8]

    /// Makes a message; every field has its wire default.
    package init(
        minor: UInt32 = 0,
        features: UInt64 = 0,
        maxFrame: UInt32 = 0,
        maxMessage: UInt32 = 0,
        connectionCredit: UInt32 = 0,
        streamCredit: UInt32 = 0,
        maxStreams: UInt32 = 0,
        pingMinMs: UInt32 = 0,
        pingTimeoutMs: UInt32 = 0,
        compressor: String = "",
        build: String = "",
        instanceID: String = "",
        bootID: String = "",
        principal: String = "",
        serverTimeUnixMs: Int64 = 0,
        descriptorDigest: [UInt8] = []
    ) {
        self.minor = minor
        self.features = features
        self.maxFrame = maxFrame
        self.maxMessage = maxMessage
        self.connectionCredit = connectionCredit
        self.streamCredit = streamCredit
        self.maxStreams = maxStreams
        self.pingMinMs = pingMinMs
        self.pingTimeoutMs = pingTimeoutMs
        self.compressor = compressor
        self.build = build
        self.instanceID = instanceID
        self.bootID = bootID
        self.principal = principal
        self.serverTimeUnixMs = serverTimeUnixMs
        self.descriptorDigest = descriptorDigest
    }

    /// The schema's name for this message.
    package static let schema = MessageSchema(qat_schema_hello_ack())

    /// Reads the fields.
    package init(from reader: MessageReader) throws {
        minor = reader.uint32(1)
        features = reader.uint64(2)
        maxFrame = reader.uint32(3)
        maxMessage = reader.uint32(4)
        connectionCredit = reader.uint32(5)
        streamCredit = reader.uint32(6)
        maxStreams = reader.uint32(7)
        pingMinMs = reader.uint32(8)
        pingTimeoutMs = reader.uint32(9)
        compressor = try reader.text(10)
        build = try reader.text(11)
        instanceID = try reader.text(12)
        bootID = try reader.text(13)
        principal = try reader.text(14)
        serverTimeUnixMs = reader.int64(15)
        descriptorDigest = reader.bytes(16)
    }

    /// Writes the fields.
    package func encode(into writer: inout MessageWriter) {
        writer.set(1, minor)
        writer.set(2, features)
        writer.set(3, maxFrame)
        writer.set(4, maxMessage)
        writer.set(5, connectionCredit)
        writer.set(6, streamCredit)
        writer.set(7, maxStreams)
        writer.set(8, pingMinMs)
        writer.set(9, pingTimeoutMs)
        writer.set(10, compressor)
        writer.set(11, build)
        writer.set(12, instanceID)
        writer.set(13, bootID)
        writer.set(14, principal)
        writer.set(15, serverTimeUnixMs)
        writer.set(16, descriptorDigest)
    }
}

/// One key and value beside a call.
package struct CallMetadata: WireMessage, Equatable {
    /// The key.
    package var key: String
    /// The value.
    package var value: String

    /// Makes a message; every field has its wire default.
    package init(key: String = "", value: String = "") {
        self.key = key
        self.value = value
    }

    /// The schema's name for this message.
    package static let schema = MessageSchema(qat_schema_call_metadata())

    /// Reads the fields.
    package init(from reader: MessageReader) throws {
        key = try reader.text(1)
        value = try reader.text(2)
    }

    /// Writes the fields.
    package func encode(into writer: inout MessageWriter) {
        writer.set(1, key)
        writer.set(2, value)
    }
}
