internal import CProtobufC

/// Memory for the C side of one message: handed out in order, freed all at once.
///
/// It backs protobuf-c's allocator while decoding, under a budget that is never refunded, and
/// holds the C structs while encoding.
struct MessageArena: ~Copyable {
    private static let firstChunkByteCount = 2_048
    private static let chunkByteCount = 16_384
    private static let alignment = 16

    private var chunks: [UnsafeMutableRawPointer] = []
    private var next: UnsafeMutableRawPointer?
    private var left = 0
    private var byteBudget: Int
    private var countBudget: Int

    /// Makes an empty arena that may hand out `byteBudget` bytes in `countBudget` pieces.
    init(byteBudget: Int, countBudget: Int) {
        self.byteBudget = byteBudget
        self.countBudget = countBudget
    }

    deinit {
        for chunk in chunks { chunk.deallocate() }
    }

    /// Bytes aligned to 16, or nil when the budget is spent.
    mutating func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        guard byteCount >= 0, byteCount <= byteBudget, countBudget > 0 else { return nil }
        let size = (max(byteCount, 1) + Self.alignment - 1) & ~(Self.alignment - 1)
        byteBudget -= byteCount
        countBudget -= 1
        if size > left {
            let minimum = chunks.isEmpty ? Self.firstChunkByteCount : Self.chunkByteCount
            let length = max(size, minimum)
            let chunk = UnsafeMutableRawPointer.allocate(
                byteCount: length,
                alignment: Self.alignment
            )
            chunks.append(chunk)
            next = chunk
            left = length
        }
        let piece = next
        next = next?.advanced(by: size)
        left -= size
        return piece
    }

    /// Bytes aligned to 16, without regard to the budget: for data of our own.
    mutating func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer {
        byteBudget = .max
        countBudget = .max
        guard let piece = allocate(byteCount) else {
            preconditionFailure("cannot reserve \(byteCount) bytes")
        }
        return piece
    }
}
