package import NIOCore

/// What a frame is for.
package enum FrameType: UInt8, Sendable, CaseIterable {
    case hello = 1, helloAck, call, data, blob, status, cancel, credit, ping, pong, goAway, abort

    /// Whether the frame carries payload that credit pays for.
    package var isCredited: Bool { self == .data || self == .blob }
}

/// The flag bits of a frame.
package struct FrameFlags: OptionSet, Sendable, Hashable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The sender sends no more on the stream.
    package static let endStream = FrameFlags(rawValue: 0x1)
    /// The message goes on in the next frame.
    package static let more = FrameFlags(rawValue: 0x2)
    /// The message is compressed.
    package static let compressed = FrameFlags(rawValue: 0x4)
    /// Whoever does not know the type may skip the frame.
    package static let ignorable = FrameFlags(rawValue: 0x8000)

    package static let known: FrameFlags = [.endStream, .more, .compressed, .ignorable]
}

/// The 12 bytes before each payload: length u24, type u8, flags u16, reserved u16, stream u32,
/// all big-endian.
package struct FrameHeader: Sendable, Hashable {
    package static let byteCount = 12
    /// Longest payload that the length field can tell.
    package static let maximumLength = (1 << 24) - 1

    /// Bytes of payload that follow.
    package var length: Int
    /// The type byte as it came; unknown types may be ignorable.
    package var rawType: UInt8
    package var flags: FrameFlags
    package var stream: UInt32

    package init(length: Int, type: FrameType, flags: FrameFlags = [], stream: UInt32 = 0) {
        self.init(length: length, rawType: type.rawValue, flags: flags, stream: stream)
    }

    package init(length: Int, rawType: UInt8, flags: FrameFlags, stream: UInt32) {
        precondition((0...Self.maximumLength).contains(length), "frame of \(length) bytes")
        self.length = length
        self.rawType = rawType
        self.flags = flags
        self.stream = stream
    }

    package var type: FrameType? { FrameType(rawValue: rawType) }

    /// The bytes 0..<8 as one integer, which encodes in one store.
    @inline(__always)
    var word: UInt64 {
        UInt64(length) << 40 | UInt64(rawType) << 32 | UInt64(flags.rawValue) << 16
    }
}

/// A header that breaks the format.
package enum FrameError: Error, Equatable, Sendable {
    /// The payload is longer than the connection allows.
    case tooLarge(length: Int, limit: Int)
    /// The reserved bytes are not zero.
    case reservedBits(UInt16)
    /// A flag bit nobody defined is set.
    case unknownFlags(UInt16)
}

extension ByteBuffer {
    /// Appends a header.
    @inline(__always)
    package mutating func writeFrameHeader(_ header: FrameHeader) {
        writeMultipleIntegers(header.word, header.stream)
    }

    /// Appends a whole frame.
    package mutating func writeFrame(
        _ type: FrameType,
        flags: FrameFlags = [],
        stream: UInt32 = 0,
        payload: ByteBuffer = ByteBuffer()
    ) {
        let header = FrameHeader(
            length: payload.readableBytes,
            type: type,
            flags: flags,
            stream: stream
        )
        writeFrameHeader(header)
        writeImmutableBuffer(payload)
    }

    /// The header at `index`, unchecked against any limit; nil if the bytes are not there yet.
    @inline(__always)
    package func frameHeader(at index: Int) throws(FrameError) -> FrameHeader? {
        guard let word = getInteger(at: index, as: UInt64.self),
            let stream = getInteger(at: index + 8, as: UInt32.self)
        else { return nil }
        let reserved = UInt16(truncatingIfNeeded: word)
        guard reserved == 0 else { throw .reservedBits(reserved) }
        let flags = FrameFlags(rawValue: UInt16(truncatingIfNeeded: word >> 16))
        guard flags.isSubset(of: .known) else { throw .unknownFlags(flags.rawValue) }
        return FrameHeader(
            length: Int(word >> 40),
            rawType: UInt8(truncatingIfNeeded: word >> 32),
            flags: flags,
            stream: stream
        )
    }
}
