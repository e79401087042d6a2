internal import Foundation
internal import Synchronization

/// Job logs as files that grow to a limit.
struct JobLogStore: Sendable {
    private let folder: String
    /// The longest a log gets; what comes after is dropped.
    private let byteLimit: UInt64
    /// The most that all logs have together; above, what comes is dropped until some are removed.
    private let totalLimit: UInt64
    private let total: TotalBytes

    init(
        folder: String,
        byteLimit: UInt64 = 64 << 20,
        totalLimit: UInt64 = .max
    ) throws {
        self.folder = folder
        self.byteLimit = byteLimit
        self.totalLimit = totalLimit
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        // One that was there before, too: logs are their owners' to read.
        chmod(folder, 0o700)
        total = TotalBytes(0)
        total.set(try all().reduce(0) { $0 + $1.bytes })
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
        let count = UInt64(bytes.count)
        // Full: the writer is told that all is well and the rest is dropped.
        let isFull = end + count > byteLimit || total.value + count > totalLimit
        guard end == offset else {
            return isFull && offset > end ? offset.addingClamped(count) : end
        }
        guard !isFull else { return end + count }
        try handle.write(contentsOf: Data(bytes))
        total.add(Int64(count))
        return end + count
    }

    /// Up to `count` bytes from an offset; empty at the end or without a log.
    func read(_ job: String, offset: UInt64, count: Int) throws -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path(job)) else {
            return []
        }
        defer { try? handle.close() }
        // Beyond the end nothing is read; beyond what a file can have, seeking itself would end in a trap.
        guard try offset < handle.seekToEnd() else { return [] }
        try handle.seek(toOffset: offset)
        return [UInt8](try handle.read(upToCount: count) ?? Data())
    }

    /// Every log: its job, and its bytes.
    func all() throws -> [(job: String, bytes: UInt64)] {
        try FileManager.default.contentsOfDirectory(atPath: folder).compactMap { name in
            guard name.hasSuffix(".log"), let size = Self.size("\(folder)/\(name)") else {
                return nil
            }
            return (String(name.dropLast(4)), size)
        }
    }

    /// Removes a job's log; returns the bytes that it had.
    @discardableResult
    func remove(_ job: String) throws -> UInt64 {
        let path = path(job)
        guard let size = Self.size(path) else { return 0 }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw StoreError(.unusable, "\(path): \(String(cString: strerror(errno)))")
        }
        total.add(-Int64(clamping: size))
        return size
    }

    private static func size(_ path: String) -> UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_size) : nil
    }

    // Ids come from the database, which made them: letters and digits.
    private func path(_ job: String) -> String { "\(folder)/\(job).log" }
}

extension UInt64 {
    /// The sum, or the largest number there is.
    fileprivate func addingClamped(_ other: UInt64) -> UInt64 {
        let (sum, isHuge) = addingReportingOverflow(other)
        return isHuge ? .max : sum
    }
}

/// A count of bytes that many change.
private final class TotalBytes: Sendable {
    private let count: Mutex<UInt64>

    init(_ count: UInt64) { self.count = Mutex(count) }

    var value: UInt64 { count.withLock { $0 } }

    func set(_ value: UInt64) { count.withLock { $0 = value } }

    func add(_ change: Int64) {
        count.withLock { count in
            count = UInt64(max(0, Int64(clamping: count) + change))
        }
    }
}
