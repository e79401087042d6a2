internal import CWire

/// Ends a connection at once because of a fault.
package struct Abort: WireMessage, Equatable {
    /// Which rule was broken: see `AbortCode`.
    package var code: UInt32
    /// The rule as a sentence.
    package var message: String

    /// Makes a message; every field has its wire default.
    package init(code: UInt32 = 0, message: String = "") {
        self.code = code
        self.message = message
    }

    /// The schema's name for this message.
    package static let schema = MessageSchema(qat_schema_abort())

    /// Reads the fields.
    package init(from reader: MessageReader) throws {
        code = reader.uint32(1)
        message = try reader.text(2)
    }

    /// Writes the fields.
    package func encode(into writer: inout MessageWriter) {
        writer.set(1, code)
        writer.set(2, message)
    }
}
