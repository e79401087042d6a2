package import NIOCore

/// One frame: its header and exactly its payload.
package struct Frame: Sendable, Equatable {
    package var header: FrameHeader
    package var payload: ByteBuffer

    package init(header: FrameHeader, payload: ByteBuffer) {
        self.header = header
        self.payload = payload
    }
}

/// Cuts a byte stream into frames.
///
/// A declared length is checked before any of the body is kept, so it buffers at most one frame
/// of the agreed size.
package struct FrameDecoder: Sendable {
    private var buffer = ByteBuffer()
    /// Longest payload accepted, in bytes.
    package var frameByteLimit: Int

    package init(frameByteLimit: Int) { self.frameByteLimit = frameByteLimit }

    /// Bytes that wait for the rest of their frame.
    package var bufferedByteCount: Int { buffer.readableBytes }

    /// Takes bytes as they arrive.
    package mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// Exactly `count` bytes from the front, or nil until they are there.
    package mutating func takePrefix(_ count: Int) -> [UInt8]? { buffer.readBytes(length: count) }

    /// The next whole frame, or nil until more bytes arrive.
    package mutating func next() throws(FrameError) -> Frame? {
        guard let header = try buffer.frameHeader(at: buffer.readerIndex) else {
            compact()
            return nil
        }
        guard header.length <= frameByteLimit else {
            throw .tooLarge(length: header.length, limit: frameByteLimit)
        }
        let start = buffer.readerIndex + FrameHeader.byteCount
        guard let payload = buffer.getSlice(at: start, length: header.length) else {
            compact()
            return nil
        }
        buffer.moveReaderIndex(forwardBy: FrameHeader.byteCount + header.length)
        return Frame(header: header, payload: payload)
    }

    private mutating func compact() {
        if buffer.readableBytes == 0 {
            buffer = ByteBuffer()
        } else if buffer.readerIndex > frameByteLimit {
            buffer.discardReadBytes()
        }
    }
}
