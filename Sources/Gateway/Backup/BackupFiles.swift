internal import DurableFiles
internal import Foundation
internal import Protocol

/// Files as backups copy them.
enum BackupFiles {
    /// An artifact's file below a folder of artifacts.
    static func path(_ digest: SHA256Digest, in folder: String) -> String {
        "\(folder)/sha256/\(digest.hex.prefix(2))/\(digest.hex)"
    }

    /// Bytes of a file, or nil if there is none.
    static func size(_ path: String) -> UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_size) : nil
    }

    /// Names in a folder, in order; none if there is no such folder.
    static func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    /// Whether a path, of which the last folders need not exist yet, is a folder or lies in it, whatever
    /// links lead there.
    static func isInside(_ path: String, _ folder: String) -> Bool {
        func real(_ path: String) -> String {
            let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
            var known = absolute
            var rest: [String] = []
            while known != "/" {
                if let found = realpath(known, nil) {
                    defer { free(found) }
                    return ([String(cString: found)] + rest.reversed()).joined(separator: "/")
                }
                rest.append((known as NSString).lastPathComponent)
                known = (known as NSString).deletingLastPathComponent
            }
            return absolute
        }
        let (inner, outer) = (real(path), real(folder))
        return inner == outer || inner.hasPrefix(outer + "/")
    }

    static func makeFolder(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
    }

    /// Copies a file as it is at this moment, whole or not at all, and durably.
    ///
    /// - Returns: The digest of what was copied.
    @discardableResult
    static func copy(_ source: String, to target: String) throws -> SHA256Digest {
        guard let reader = FileHandle(forReadingAtPath: source) else {
            throw failure("open", source)
        }
        defer { try? reader.close() }
        let file = try StoreError.ofFiles { () throws(DurableFileError) in
            try DurableFile(path: target, readers: .owner)
        }
        var hasher = SHA256Hasher()
        do {
            while let piece = try reader.read(upToCount: 1 << 20), !piece.isEmpty {
                let bytes = [UInt8](piece)
                hasher.update(bytes)
                try file.append(bytes)
            }
            try file.commit()
        } catch {
            throw StoreError(.unusable, "copying \(source) to \(target): \(error)")
        }
        return hasher.finalize()
    }

    /// Whether two names on one disk, where a link would have been made, are two files.
    static func wasReplaced(_ source: String, sharedAs copied: String) -> Bool {
        var (a, b) = (stat(), stat())
        guard stat(source, &a) == 0, stat(copied, &b) == 0 else { return false }
        return a.st_dev == b.st_dev && a.st_ino != b.st_ino
    }

    /// Puts a file in another's place, durably.
    static func move(_ source: String, to target: String) throws {
        try StoreError.ofFiles { () throws(DurableFileError) in
            try DurableFile.move(source, to: target)
        }
    }

    /// Waits until a file's bytes are on disk.
    static func synchronize(_ path: String) throws {
        try StoreError.ofFiles { () throws(DurableFileError) in
            try DurableFile.synchronize(path)
        }
    }

    /// Waits until a folder's names are on disk.
    static func synchronizeFolder(_ path: String) throws {
        try StoreError.ofFiles { () throws(DurableFileError) in
            try DurableFile.synchronizeFolder(path)
        }
    }

    static func failure(_ action: String, _ path: String) -> StoreError {
        StoreError(.unusable, "\(path): \(action): \(String(cString: strerror(errno)))")
    }
}
