internal import Foundation
internal import JobSpecs

/// A file of JSON values, one a line, that several processes append to.
struct JournalFile {
    private let path: String

    init(_ path: String) {
        self.path = path
    }

    /// Whether there is such a file; what is none of the ordinary kind, whose bytes may have no end, is not.
    var isThere: Bool { byteCount != nil }

    private var byteCount: Int? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    /// All values; a line that a crash cut off is left out.
    var lines: [JSONValue] {
        bytes.split(separator: 0x0A).compactMap { try? JSONParser.parse(Array($0)).value }
    }

    private var bytes: [UInt8] {
        guard isThere else { return [] }
        return FileManager.default.contents(atPath: path).map { [UInt8]($0) } ?? []
    }

    /// Adds a value at the end; returns when it is on the disk.
    ///
    /// - Parameters:
    ///   - value: What is added.
    ///   - limit: The size from which on the file is first written anew.
    ///   - live: The lines that are kept then.
    /// - Throws: ``ClientError``.
    func append(
        _ value: JSONValue,
        above limit: Int = .max,
        keeping live: ([JSONValue]) throws -> [JSONValue] = { $0 }
    ) throws {
        let lock = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { if lock >= 0 { close(lock) } }
        // Without a lock, as on a file system that has none, all but writing anew is safe.
        if lock >= 0, Self.take(lock), byteCount ?? 0 > limit { try replace(with: live(lines)) }
        // A crash may have left half a line; the line break keeps it from spoiling this one.
        let torn: [UInt8] = endsWithoutLineBreak ? [0x0A] : []
        try PrivateFiles.append(torn + value.canonicalBytes + [0x0A], to: path)
    }

    /// Writes the file anew.
    ///
    /// - Throws: ``ClientError``.
    func replace(with lines: [JSONValue]) throws {
        var bytes: [UInt8] = []
        for line in lines { bytes += line.canonicalBytes + [0x0A] }
        try PrivateFiles.replace(path, with: bytes)
    }

    /// Waits for a lock; false if there is none to be had.
    private static func take(_ descriptor: Int32) -> Bool {
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { return false }
        }
        return true
    }

    private var endsWithoutLineBreak: Bool {
        guard let count = byteCount, count > 0, let file = FileHandle(forReadingAtPath: path) else {
            return false
        }
        defer { try? file.close() }
        try? file.seek(toOffset: UInt64(count - 1))
        return (try? file.read(upToCount: 1))?.last != 0x0A
    }
}
