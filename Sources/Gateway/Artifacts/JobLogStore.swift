internal import Foundation

/// Job logs as files that grow to a limit.
struct JobLogStore: Sendable {
    private let folder: String
    /// The longest a log gets; what comes after is dropped.
    private static let byteLimit: UInt64 = 64 << 20

    init(folder: String) throws {
        self.folder = folder
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
    }

    /// Writes bytes at an offset, if the log ends there.
    ///
    /// - Returns: Where the log ends now; another offset than the writer's own means that this
    ///   piece was not taken.
    func append(_ job: String, offset: UInt64, _ bytes: [UInt8]) throws -> UInt64 {
        let path = path(job)
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        guard let handle = FileHandle(forWritingAtPath: path) else {
            throw StoreError(.unusable, "\(path): cannot be written")
        }
        defer { try? handle.close() }
        let end = try handle.seekToEnd()
        guard end == offset else {
            return end
        }
        guard end + UInt64(bytes.count) <= Self.byteLimit else {
            // Full: the writer is told that all is well and the rest is dropped.
            return end + UInt64(bytes.count)
        }
        try handle.write(contentsOf: Data(bytes))
        return end + UInt64(bytes.count)
    }

    /// Up to `count` bytes from an offset; empty at the end or without a log.
    func read(_ job: String, offset: UInt64, count: Int) throws -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path(job)) else {
            return []
        }
        defer { try? handle.close() }
        try handle.seek(toOffset: offset)
        return [UInt8](try handle.read(upToCount: count) ?? Data())
    }

    // Ids come from the database, which made them: letters and digits.
    private func path(_ job: String) -> String { "\(folder)/\(job).log" }
}
