internal import CProtobufC
package import NIOCore

/// Turns messages into protobuf bytes and back; no C memory leaves it.
package enum MessageCodec {
    /// Appends the packed `message` to `buffer`.
    ///
    /// - Throws: ``RPCError`` (`resourceExhausted`) if it is longer than `limit` bytes.
    package static func encode(
        _ message: some WireMessage,
        into buffer: inout ByteBuffer,
        limit: Int = CodecLimits.messageByteCount
    ) throws {
        var arena = MessageArena(byteBudget: .max, countBudget: .max)
        try withUnsafeMutablePointer(to: &arena) { arena in
            var writer = MessageWriter(type(of: message).schema, arena: arena)
            message.encode(into: &writer)
            let root = writer.message.assumingMemoryBound(to: ProtobufCMessage.self)
            let size = protobuf_c_message_get_packed_size(root)
            guard size <= limit else {
                let name = type(of: message).schema.name
                throw RPCError(
                    .resourceExhausted,
                    "\(name) takes \(size) bytes; the limit is \(limit)"
                )
            }
            buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { target in
                guard size > 0, let start = target.baseAddress else { return 0 }
                return protobuf_c_message_pack(root, start.assumingMemoryBound(to: UInt8.self))
            }
        }
    }

    /// Decodes one message that fills `buffer`.
    ///
    /// - Throws: ``RPCError`` (`invalidArgument`) if the bytes are malformed or cost too much.
    package static func decode<M: WireMessage>(
        _ type: M.Type,
        from buffer: ByteBuffer
    ) throws -> M {
        try buffer.withUnsafeReadableBytes { try decode(type, from: $0) }
    }

    /// Decodes one message that fills `bytes`.
    ///
    /// - Throws: ``RPCError`` (`invalidArgument`) if the bytes are malformed or cost too much.
    package static func decode<M: WireMessage>(
        _ type: M.Type,
        from bytes: UnsafeRawBufferPointer
    ) throws -> M {
        do throws(WireFault) {
            try WireScanner.check(bytes, against: M.schema)
        } catch {
            throw RPCError(.invalidArgument, "\(M.schema.name): \(error)")
        }
        let budget =
            CodecLimits.baseAllocationByteCount
            + bytes.count * CodecLimits.allocationBytesPerWireByte
        var arena = MessageArena(
            byteBudget: budget,
            countBudget: CodecLimits.allocationCount
        )
        return try withUnsafeMutablePointer(to: &arena) { arena in
            var allocator = ProtobufCAllocator(
                alloc: { arena, size in
                    arena?.assumingMemoryBound(to: MessageArena.self).pointee.allocate(size)
                },
                free: { _, _ in },
                allocator_data: UnsafeMutableRawPointer(arena)
            )
            let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            let message = protobuf_c_message_unpack(
                M.schema.descriptor,
                &allocator,
                bytes.count,
                start
            )
            guard let message else {
                throw RPCError(
                    .invalidArgument,
                    "\(M.schema.name): decoding \(bytes.count) bytes costs more than allowed"
                )
            }
            return try M(from: MessageReader(message, M.schema))
        }
    }
}
