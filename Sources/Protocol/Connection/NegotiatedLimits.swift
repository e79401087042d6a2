package import NIOCore

/// Limits of the control plane, the same on every connection.
package enum ControlLimits {
    /// Longest payload of a frame that is neither DATA nor BLOB, in bytes.
    package static let controlByteCount = 16 << 10
    /// Longest first message that rides in a CALL, in bytes.
    package static let inlineMessageByteCount = 8 << 10
    /// Longest method name, in bytes.
    package static let methodByteCount = 128
    /// Longest idempotency key, in bytes.
    package static let idempotencyKeyByteCount = 64
    /// Entries of metadata.
    package static let metadataCount = 32
    /// Keys and values of metadata together, in bytes.
    package static let metadataByteCount = 8 << 10
    /// Largest credit in one grant and in all, in bytes.
    package static let creditByteCount = 1 << 24
    /// Control frames per second, and in one burst.
    package static let controlFramesPerSecond = 100
    package static let controlFrameBurst = 200
    /// Longest time a unary call may ask for.
    package static let callTimeout = Duration.seconds(3_600)
}

/// What HELLO and HELLO_ACK agreed on, from one side's point of view.
package struct NegotiatedLimits: Sendable, Hashable {
    /// Longest payload of a frame, both ways, in bytes.
    package var frameByteCount: Int
    /// Longest message, both ways, in bytes.
    package var messageByteCount: Int
    /// Credit this side gives at first.
    package var localStreamCredit: Int
    package var localConnectionCredit: Int
    /// Credit the peer gives at first.
    package var peerStreamCredit: Int
    package var peerConnectionCredit: Int
    /// Handlers that run at once.
    package var runningCalls: Int
    /// Shortest interval between pings that the peer accepts.
    package var peerPingMinimum: Duration
    package var pingTimeout: Duration
}

/// The 48 bytes at the start of a blob's first frame: digest, size u64, offset u64.
package struct BlobHeader: Sendable, Hashable {
    package static let byteCount = 48

    /// SHA-256 of the whole blob.
    package var digest: SHA256Digest
    /// Length of the whole blob, in bytes.
    package var size: UInt64
    /// Position of the first byte that follows.
    package var offset: UInt64

    package init(digest: SHA256Digest, size: UInt64, offset: UInt64) {
        self.digest = digest
        self.size = size
        self.offset = offset
    }

    package init?(from buffer: inout ByteBuffer) {
        guard buffer.readableBytes >= Self.byteCount,
            let bytes = buffer.readBytes(length: SHA256Digest.byteCount),
            let digest = SHA256Digest(bytes: bytes),
            let numbers = buffer.readMultipleIntegers(as: (UInt64, UInt64).self),
            numbers.1 <= numbers.0
        else { return nil }
        self.init(digest: digest, size: numbers.0, offset: numbers.1)
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeBytes(digest.bytes)
        buffer.writeMultipleIntegers(size, offset)
    }
}
