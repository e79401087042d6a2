#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A file mapped for reading; unmapped when the last reference goes.
public final class MappedFile: @unchecked Sendable {
    // Immutable after init.

    /// The path it was opened by.
    public let path: String
    /// The file's bytes.
    public let bytes: UnsafeRawBufferPointer

    /// Maps a regular file.
    ///
    /// - Throws: ``ModelFileError`` (`inputOutput`).
    public init(path: String) throws(ModelFileError) {
        // Opening a pipe would wait for its other end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw ModelFileError(.inputOutput, "\(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw ModelFileError(.inputOutput, "\(path): not a regular file")
        }
        let count = Int(status.st_size)
        self.path = path
        guard count > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0),
            start != MAP_FAILED
        else {
            throw ModelFileError(.inputOutput, "\(path): mmap: \(String(cString: strerror(errno)))")
        }
        bytes = UnsafeRawBufferPointer(start: start, count: count)
    }

    /// Drops the whole pages within a mapped range from this process; touching reads them again.
    static func dropPages(of range: UnsafeRawBufferPointer) {
        guard let start = range.baseAddress else {
            return
        }
        let pageSize = UInt(sysconf(Int32(_SC_PAGESIZE)))
        let address = UInt(bitPattern: start)
        let lower = (address + pageSize - 1) / pageSize * pageSize
        let upper = (address + UInt(range.count)) / pageSize * pageSize
        // A refusal costs memory, nothing else.
        if lower < upper, let page = UnsafeMutableRawPointer(bitPattern: lower) {
            _ = madvise(page, Int(upper - lower), MADV_DONTNEED)
        }
    }

    deinit {
        if let start = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
        }
    }
}

/// Reads little-endian values from a file's bytes, never past their end.
struct ByteReader {
    let file: MappedFile
    private(set) var offset: Int
    private let end: Int

    init(_ file: MappedFile, offset: Int = 0) {
        self.file = file
        self.offset = offset
        end = file.bytes.count
    }

    var remaining: Int { end - offset }

    mutating func integer<Value: FixedWidthInteger>(
        _ type: Value.Type,
        _ what: @autoclosure () -> String
    ) throws(ModelFileError) -> Value {
        let size = MemoryLayout<Value>.size
        try require(size, what())
        let value = file.bytes.loadUnaligned(fromByteOffset: offset, as: Value.self)
        offset += size
        return Value(littleEndian: value)
    }

    mutating func bytes(
        _ count: Int,
        _ what: @autoclosure () -> String
    ) throws(ModelFileError) -> UnsafeRawBufferPointer {
        try require(count, what())
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + count])
    }

    private func require(
        _ count: Int,
        _ what: @autoclosure () -> String
    ) throws(ModelFileError) {
        guard count >= 0, count <= remaining else {
            throw ModelFileError(
                .malformed,
                """
                \(file.path): truncated: \(what()) at byte \(offset) needs \(count) bytes, the file \
                ends at \(end)
                """
            )
        }
    }
}
