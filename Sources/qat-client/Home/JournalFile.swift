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
        // Without one, as on a file system that has none, all but writing anew is safe.
        defer { if lock >= 0 { close(lock) } }
        if lock >= 0 { flock(lock, LOCK_EX) }
        if lock >= 0, byteCount ?? 0 > limit {
            var kept: [UInt8] = []
            for line in try live(lines) { kept += line.canonicalBytes + [0x0A] }
            // What cannot be left out, hundreds of lost answers, does not make every line cost as much.
            if kept.count < limit / 2 { try PrivateFiles.replace(path, with: kept) }
        }
        // A crash may have left half a line; the line break keeps it from spoiling this one.
        let torn: [UInt8] = endsWithoutLineBreak ? [0x0A] : []
        try PrivateFiles.append(torn + value.canonicalBytes + [0x0A], to: path)
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
