internal import Foundation

/// Reads, and writes that survive a crash: a temporary name, fsync, rename, fsync of the folder.
enum FileSystem {
    static func write(_ bytes: [UInt8], to path: String) throws(ModelFileError) {
        let file = try AtomicFile(path: path)
        try file.write(bytes, at: 0)
        try file.commit()
    }

    static func read(_ path: String, limit: Int) throws(ModelFileError) -> [UInt8] {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= limit else {
            throw ModelFileError(
                .malformed,
                "\(path): \(file.bytes.count) bytes, more than the limit of \(limit)"
            )
        }
        // The bytes are gone with the file, which might go after its last use.
        return withExtendedLifetime(file) { [UInt8](file.bytes) }
    }

    static func makeFolder(_ path: String) throws(ModelFileError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true
            )
        } catch {
            let isFull = (error as? CocoaError)?.code == .fileWriteOutOfSpace
            // Foundation's errors describe themselves as dumps; the system's own stands within.
            let inner = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            let reason =
                inner.map { String(cString: strerror(Int32(truncatingIfNeeded: $0.code))) }
                ?? error.localizedDescription
            throw ModelFileError(
                isFull ? .noSpace : .inputOutput,
                "\(path): cannot be created: \(reason)"
            )
        }
    }

    static func synchronizeFolder(_ path: String) throws(ModelFileError) {
        let folder = path.isEmpty ? "." : path
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw failure("open", folder)
        }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw failure("fsync", folder)
        }
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: path)
    }

    static func isFile(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            && !isFolder.boolValue
    }

    /// The error of a call that failed just now, by `errno`.
    static func failure(_ action: String, _ path: String) -> ModelFileError {
        let number = errno
        let code: ModelFileError.Code =
            number == ENOSPC || number == EDQUOT ? .noSpace : .inputOutput
        return ModelFileError(code, "\(path): \(action): \(String(cString: strerror(number)))")
    }
}

/// A file that is there whole or not at all: written under a temporary name, renamed when complete.
///
/// Not for concurrent use.
final class AtomicFile {
    private let path: String
    private let temporary: String
    private let descriptor: Int32
    private var isCommitted = false

    init(path: String) throws(ModelFileError) {
        self.path = path
        temporary = path + ".tmp-\(getpid())"
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw FileSystem.failure("create", temporary)
        }
    }

    deinit {
        close(descriptor)
        if !isCommitted { unlink(temporary) }
    }

    /// Writes bytes at an offset; what no write reaches is zero.
    func write(_ bytes: UnsafeRawBufferPointer, at start: Int) throws(ModelFileError) {
        var offset = 0
        while offset < bytes.count {
            guard let base = bytes.baseAddress else {
                return
            }
            let written = pwrite(
                descriptor,
                base + offset,
                bytes.count - offset,
                off_t(start + offset)
            )
            if written < 0 {
                if errno == EINTR {
                    continue
                }
                throw FileSystem.failure("write", temporary)
            }
            offset += written
        }
    }

    func write(_ bytes: [UInt8], at start: Int) throws(ModelFileError) {
        // Typed throws do not pass through withUnsafeBytes.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ModelFileError) in try write(buffer, at: start) }
        }
        try result.get()
    }

    /// Makes the file at least so long.
    func extend(to count: Int) throws(ModelFileError) {
        guard ftruncate(descriptor, off_t(count)) == 0 else {
            throw FileSystem.failure("truncate", temporary)
        }
    }

    /// Makes the file durable under its own name.
    func commit() throws(ModelFileError) {
        guard fsync(descriptor) == 0 else {
            throw FileSystem.failure("fsync", temporary)
        }
        guard rename(temporary, path) == 0 else {
            throw FileSystem.failure("rename", path)
        }
        isCommitted = true
        try FileSystem.synchronizeFolder((path as NSString).deletingLastPathComponent)
    }
}
