internal import Foundation

/// Writes that survive a crash: a temporary name, fsync, rename, fsync of the folder.
enum FileSystem {
    /// Writes `parts` one after the other as the file at `path`.
    static func write(_ parts: [UnsafeRawBufferPointer], to path: String) throws(ModelFileError) {
        let temporary = path + ".tmp-\(getpid())"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw failure("create", temporary)
        }
        do throws(ModelFileError) {
            defer { close(descriptor) }
            for part in parts {
                try writeAll(part, to: descriptor, path: temporary)
            }
            guard fsync(descriptor) == 0 else {
                throw failure("fsync", temporary)
            }
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else {
            let error = failure("rename", path)
            unlink(temporary)
            throw error
        }
        try synchronizeFolder((path as NSString).deletingLastPathComponent)
    }

    static func write(_ bytes: [UInt8], to path: String) throws(ModelFileError) {
        // Copied into a buffer of known life: typed throws do not pass through withUnsafeBytes.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        try write([UnsafeRawBufferPointer(copy)], to: path)
    }

    static func read(_ path: String, limit: Int) throws(ModelFileError) -> [UInt8] {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= limit else {
            throw ModelFileError(
                .malformed,
                "\(path): \(file.bytes.count) bytes, more than the limit of \(limit)"
            )
        }
        return [UInt8](file.bytes)
    }

    static func makeFolder(_ path: String) throws(ModelFileError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true
            )
        } catch {
            throw ModelFileError(.inputOutput, "\(path): cannot be created: \(error)")
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

    private static func writeAll(
        _ bytes: UnsafeRawBufferPointer,
        to descriptor: Int32,
        path: String
    ) throws(ModelFileError) {
        var offset = 0
        while offset < bytes.count {
            guard let base = bytes.baseAddress else {
                return
            }
            let written = Foundation.write(descriptor, base + offset, bytes.count - offset)
            if written < 0 {
                if errno == EINTR {
                    continue
                }
                throw failure("write", path)
            }
            offset += written
        }
    }

    private static func failure(_ action: String, _ path: String) -> ModelFileError {
        ModelFileError(.inputOutput, "\(path): \(action): \(String(cString: strerror(errno)))")
    }
}
