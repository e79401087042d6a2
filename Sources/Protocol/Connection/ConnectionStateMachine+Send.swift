package import NIOCore

extension ConnectionStateMachine {
    /// Why ``write(_:stream:quantum:into:)`` stopped.
    package enum WriteStop: Sendable, Equatable {
        /// Nothing is left, or the quantum is used up.
        case done
        /// The stream, or the connection, has no credit.
        case streamCredit, connectionCredit
    }

    /// Gives a client's new call its number; nil if no more calls may be opened here.
    package mutating func openStream() -> UInt32? {
        guard side == .client, acceptsCalls, let negotiated else { return nil }
        guard highestStream < UInt32.max - 2 else { return nil }
        highestStream = highestStream == 0 ? 1 : highestStream + 2
        streams[highestStream] = StreamState(
            receiveCredit: negotiated.localStreamCredit,
            sendCredit: negotiated.peerStreamCredit,
            hasBegun: false
        )
        return highestStream
    }

    /// Moves frames that credit allows from `frames` to `output`, numbering them.
    ///
    /// `frames`: Whole frames, first to last. `stream`: The number to write into them. `quantum`:
    /// Bytes after which other streams get their turn. `output`: Where the bytes go. Returns why it
    /// stopped. A stream that is over drops its frames.
    package mutating func write(
        _ frames: inout ByteBuffer,
        stream id: UInt32,
        quantum: Int,
        into output: inout ByteBuffer
    ) throws -> WriteStop {
        guard var stream = streams[id] else {
            frames.clear()
            return .done
        }
        let start = frames.readerIndex
        var index = start
        var stop = WriteStop.done
        var isOver = false
        while index - start < quantum, let header = try frames.frameHeader(at: index) {
            let length = FrameHeader.byteCount + header.length
            if header.type?.isCredited == true {
                guard stream.sendCredit >= length else {
                    stop = .streamCredit
                    break
                }
                guard sendConnectionCredit >= length else {
                    stop = .connectionCredit
                    break
                }
                stream.sendCredit -= length
                sendConnectionCredit -= length
            } else if header.type == .status {
                isOver = true
            }
            index += length
        }
        if index > start { stream.hasBegun = true }
        copy(&frames, length: index - start, stream: id, into: &output)
        streams[id] = isOver ? nil : stream
        if isOver { closeIfDrained() }
        return stop
    }

    /// Moves whole frames and writes the stream's number into their headers.
    private func copy(
        _ frames: inout ByteBuffer,
        length: Int,
        stream id: UInt32,
        into output: inout ByteBuffer
    ) {
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { target in
            frames.readWithUnsafeReadableBytes { source in
                target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source.prefix(length)))
                return length
            }
            var index = 0
            while index < length {
                let word = UInt64(
                    bigEndian: target.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                )
                target.storeBytes(of: id.bigEndian, toByteOffset: index + 8, as: UInt32.self)
                index += FrameHeader.byteCount + Int(word >> 40)
            }
            return length
        }
    }

    /// Grants the peer credit on a stream whose data were consumed.
    package mutating func grant(
        _ byteCount: Int,
        stream id: UInt32,
        into output: inout ByteBuffer
    ) {
        guard var stream = streams[id], byteCount > 0, !stream.hasEndedRemotely else { return }
        stream.receiveCredit += byteCount
        streams[id] = stream
        writeCredit(byteCount, id, &output)
    }

    /// A client's caller gave up.
    ///
    /// Of a call that was not written yet the peer is told nothing: its number is left out, and the CALL must not
    /// be written any more, which ``write(_:stream:quantum:into:)`` sees to.
    package mutating func cancel(
        stream id: UInt32,
        reason: RPCError.Code,
        into output: inout ByteBuffer
    ) {
        let hasBegun = streams[id]?.hasBegun ?? false
        guard closeStream(id) else { return }
        if hasBegun {
            output.writeFrameHeader(FrameHeader(length: 4, type: .cancel, stream: id))
            output.writeInteger(reason.rawValue)
        }
        closeIfDrained()
    }

    /// A server ends a call without its handler, whose later frames are dropped.
    package mutating func finish(
        stream id: UInt32,
        with error: RPCError,
        into output: inout ByteBuffer
    ) throws {
        guard closeStream(id) else { return }
        try output.writeFrame(.status, stream: id, message: error.status)
        closeIfDrained()
    }

    /// A server's handler has returned, whatever became of its stream.
    package mutating func handlerReturned() {
        runningCalls -= 1
        closeIfDrained()
    }

    func writeCredit(_ byteCount: Int, _ stream: UInt32, _ output: inout ByteBuffer) {
        output.writeFrameHeader(FrameHeader(length: 4, type: .credit, stream: stream))
        output.writeInteger(UInt32(clamping: byteCount))
    }
}
