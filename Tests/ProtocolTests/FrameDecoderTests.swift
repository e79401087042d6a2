internal import NIOCore
internal import Protocol
internal import Testing

struct FrameDecoderTests {
    private let limit = 1_024

    private func frames(_ count: Int) -> (ByteBuffer, [Frame]) {
        var bytes = ByteBuffer()
        var expected: [Frame] = []
        for index in 0..<count {
            let payload = ByteBuffer(repeating: UInt8(index & 255), count: index * 37 % 1_000)
            let flags: FrameFlags = index.isMultiple(of: 2) ? .endStream : .more
            let stream = UInt32(2 * index + 1)
            bytes.writeFrame(.data, flags: flags, stream: stream, payload: payload)
            let header = FrameHeader(
                length: payload.readableBytes,
                type: .data,
                flags: flags,
                stream: stream
            )
            expected.append(Frame(header: header, payload: payload))
        }
        return (bytes, expected)
    }

    @Test func writesTheHeaderByteForByte() {
        var bytes = ByteBuffer()
        bytes.writeFrame(
            .status,
            flags: [.endStream, .ignorable],
            stream: 0x0102_0304,
            payload: ByteBuffer(bytes: [0xAA, 0xBB])
        )
        let golden: [UInt8] = [0, 0, 2, 6, 0x80, 0x01, 0, 0, 1, 2, 3, 4, 0xAA, 0xBB]
        #expect(Array(buffer: bytes) == golden)
    }

    @Test func writesALengthAboveSixteenBits() {
        var bytes = ByteBuffer()
        bytes.writeFrameHeader(FrameHeader(length: 0x12_3456, type: .blob, stream: 7))
        #expect(Array(buffer: bytes) == [0x12, 0x34, 0x56, 5, 0, 0, 0, 0, 0, 0, 0, 7])
    }

    @Test func readsManyFramesFromOneBuffer() throws {
        let (bytes, expected) = frames(50)
        var decoder = FrameDecoder(frameByteLimit: limit)
        decoder.append(bytes)
        for frame in expected { #expect(try decoder.next() == frame) }
        #expect(try decoder.next() == nil)
        #expect(decoder.bufferedByteCount == 0)
    }

    @Test(arguments: [1, 2, 5, 11, 12, 13, 100])
    func readsFramesInPieces(pieceByteCount: Int) throws {
        let (all, expected) = frames(20)
        var bytes = all
        var decoder = FrameDecoder(frameByteLimit: limit)
        var read: [Frame] = []
        while let piece = bytes.readSlice(length: min(pieceByteCount, bytes.readableBytes)),
            piece.readableBytes > 0
        {
            decoder.append(piece)
            while let frame = try decoder.next() { read.append(frame) }
        }
        #expect(read == expected)
    }

    @Test func waitsForTheRestOfATruncatedFrame() throws {
        let (all, expected) = frames(2)
        var decoder = FrameDecoder(frameByteLimit: limit)
        decoder.append(all.getSlice(at: 0, length: all.readableBytes - 1) ?? ByteBuffer())
        #expect(try decoder.next() == expected[0])
        #expect(try decoder.next() == nil)
        #expect(try decoder.next() == nil)
    }

    @Test func refusesAHeaderAboveTheLimitWithoutItsBody() {
        var decoder = FrameDecoder(frameByteLimit: limit)
        var bytes = ByteBuffer()
        bytes.writeFrameHeader(FrameHeader(length: limit + 1, type: .data, stream: 1))
        decoder.append(bytes)
        #expect(throws: FrameError.tooLarge(length: limit + 1, limit: limit)) {
            try decoder.next()
        }
    }

    @Test func refusesReservedBitsAndUnknownFlags() {
        var decoder = FrameDecoder(frameByteLimit: limit)
        decoder.append(ByteBuffer(bytes: [0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1]))
        #expect(throws: FrameError.reservedBits(1)) { try decoder.next() }
        decoder = FrameDecoder(frameByteLimit: limit)
        decoder.append(ByteBuffer(bytes: [0, 0, 0, 4, 0x10, 0, 0, 0, 0, 0, 0, 1]))
        #expect(throws: FrameError.unknownFlags(0x1000)) { try decoder.next() }
    }
}
