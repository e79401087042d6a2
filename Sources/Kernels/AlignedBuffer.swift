#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A zero-filled array of plain values on a 64-byte boundary, freed when the last reference goes.
///
/// The memory is unsynchronized: one owner writes at a time, or several threads write disjoint
/// ranges between two synchronization points of a ``ThreadTeam``.
public final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    /// Number of elements.
    public let count: Int
    /// The first element; valid as long as the buffer lives.
    public let pointer: UnsafeMutablePointer<Element>

    /// Allocates `count` zeroed elements.
    ///
    /// - Precondition: `count` is not negative and the memory can be had.
    public init(count: Int) {
        precondition(count >= 0, "AlignedBuffer: negative count \(count)")
        let byteCount = max(count * MemoryLayout<Element>.stride, 64)
        var memory: UnsafeMutableRawPointer?
        let status = posix_memalign(&memory, 64, byteCount)
        guard status == 0, let memory else {
            preconditionFailure("AlignedBuffer: no memory for \(byteCount) bytes")
        }
        memset(memory, 0, byteCount)
        self.count = count
        self.pointer = memory.bindMemory(to: Element.self, capacity: max(count, 1))
    }

    deinit {
        free(pointer)
    }

    /// All elements, for reading and writing.
    public var elements: UnsafeMutableBufferPointer<Element> {
        UnsafeMutableBufferPointer(start: pointer, count: count)
    }
}
