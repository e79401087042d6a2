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

    private let memory: UnsafeMutableRawPointer

    /// Allocates `count` zeroed elements.
    ///
    /// The process ends, saying how much was asked, if the memory cannot be had.
    ///
    /// - Precondition: `count` is not negative.
    public init(count: Int) {
        precondition(count >= 0, "AlignedBuffer: negative count \(count)")
        let byteCount = max(count * MemoryLayout<Element>.stride, 64)
        // Large blocks come zeroed from the system, page by page as they are touched.
        guard let memory = calloc(1, byteCount + 63) else {
            MemoryShortage.end(asking: byteCount)
        }
        self.memory = memory
        self.count = count
        self.pointer = memory.alignedUp(toMultipleOf: 64)
            .bindMemory(to: Element.self, capacity: max(count, 1))
    }

    deinit {
        free(memory)
    }

    /// Gives the memory of whole pages within a range of elements back to the system.
    ///
    /// What they held is lost; they may be written and read again.
    public func discard(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "discard: \(range)")
        let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
        let start = (UInt(bitPattern: pointer + range.lowerBound) + page - 1) / page * page
        let end = UInt(bitPattern: pointer + range.upperBound) / page * page
        guard end > start, let first = UnsafeMutableRawPointer(bitPattern: start) else { return }
        #if canImport(Glibc)
            // Private pages of no file: they come back zeroed.
            _ = madvise(first, Int(end - start), MADV_DONTNEED)
        #else
            _ = madvise(first, Int(end - start), MADV_FREE)
        #endif
    }

    /// Asks the system for large pages, where it has such.
    ///
    /// What is read from one end to the other comes faster then; of no use below some megabytes.
    public func preferLargePages() {
        #if canImport(Glibc)
            let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
            let start = (UInt(bitPattern: pointer) + page - 1) / page * page
            let end = UInt(bitPattern: pointer + count) / page * page
            guard end > start, let first = UnsafeMutableRawPointer(bitPattern: start) else {
                return
            }
            _ = madvise(first, Int(end - start), MADV_HUGEPAGE)
        #endif
    }

    /// All elements, for reading and writing.
    public var elements: UnsafeMutableBufferPointer<Element> {
        UnsafeMutableBufferPointer(start: pointer, count: count)
    }
}
