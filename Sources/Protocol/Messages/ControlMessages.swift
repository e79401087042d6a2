internal import CWire

/// A client's limits and versions, sent first.
package struct Hello: WireMessage, Equatable {
    /// Lowest minor version understood.
    package var minorMin: UInt32
    /// Highest minor version understood.
    package var minorMax: UInt32
    /// Bit set of optional features.
    package var features: UInt64
    /// Longest payload of one frame it accepts, in bytes.
    package var maxFrame: UInt32
    /// Longest message it accepts, in bytes.
    package var maxMessage: UInt32
    /// Bytes it accepts on the connection before it grants more.
    package var connectionCredit: UInt32
    /// Bytes it accepts on one stream before it grants more.
    package var streamCredit: UInt32
    /// Streams it may have open; the server's answer binds.
    package var maxStreams: UInt32
    /// Shortest interval between pings it accepts.
    package var pingMinMs: UInt32
    /// How long it waits for a pong.
    package var pingTimeoutMs: UInt32
    /// Compressors understood, best first; empty means none.
    package var compressors: [String]
    /// Version of the program.
    package var build: String
    /// Which instance this is.
    package var instanceID: String
    /// Changes each time the program starts.
    package var bootID: String

    /// Makes a message; every field has its wire default.
    package init(
        minorMin: UInt32 = 0,
        minorMax: UInt32 = 0,
        features: UInt64 = 0,
        maxFrame: UInt32 = 0,
        maxMessage: UInt32 = 0,
        connectionCredit: UInt32 = 0,
        streamCredit: UInt32 = 0,
        maxStreams: UInt32 = 0,
        pingMinMs: UInt32 = 0,
        pingTimeoutMs: UInt32 = 0,
        compressors: [String] = [],
        build: String = "",
        instanceID: String = "",
        bootID: String = ""
    ) {
        self.minorMin = minorMin
        self.minorMax = minorMax
        self.features = features
        self.maxFrame = maxFrame
        self.maxMessage = maxMessage
        self.connectionCredit = connectionCredit
        self.streamCredit = streamCredit
        self.maxStreams = maxStreams
        self.pingMinMs = pingMinMs
        self.pingTimeoutMs = pingTimeoutMs
        self.compressors = compressors
        self.build = build
        self.instanceID = instanceID
        self.bootID = bootID
    }

    /// The schema's name for this message.
    package static let schema = MessageSchema(qat_schema_hello())

    /// Reads the fields.
    package init(from reader: MessageReader) throws {
        minorMin = reader.uint32(1)
        minorMax = reader.uint32(2)
        features = reader.uint64(3)
        maxFrame = reader.uint32(4)
        maxMessage = reader.uint32(5)
        connectionCredit = reader.uint32(6)
        streamCredit = reader.uint32(7)
        maxStreams = reader.uint32(8)
        pingMinMs = reader.uint32(9)
        pingTimeoutMs = reader.uint32(10)
        compressors = try reader.texts(11)
        build = try reader.text(12)
        instanceID = try reader.text(13)
        bootID = try reader.text(14)
    }

    /// Writes the fields.
    package func encode(into writer: inout MessageWriter) {
        writer.set(1, minorMin)
        writer.set(2, minorMax)
        writer.set(3, features)
        writer.set(4, maxFrame)
        writer.set(5, maxMessage)
        writer.set(6, connectionCredit)
        writer.set(7, streamCredit)
        writer.set(8, maxStreams)
        writer.set(9, pingMinMs)
        writer.set(10, pingTimeoutMs)
        writer.set(11, compressors)
        writer.set(12, build)
        writer.set(13, instanceID)
        writer.set(14, bootID)
    }
}
