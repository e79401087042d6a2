internal import NIOCore

extension WireMessage {
    /// Decodes a message that was stored.
    ///
    /// - Throws: ``RPCError`` (`invalidArgument`) if the bytes are malformed.
    package init(encoded bytes: [UInt8]) throws {
        self = try bytes.withUnsafeBytes { try MessageCodec.decode(Self.self, from: $0) }
    }

    /// The message's bytes, to be stored.
    ///
    /// - Throws: ``RPCError`` (`resourceExhausted`) above the message limit.
    package func encoded() throws -> [UInt8] {
        var buffer = ByteBuffer()
        try MessageCodec.encode(self, into: &buffer)
        return [UInt8](buffer: buffer)
    }
}
