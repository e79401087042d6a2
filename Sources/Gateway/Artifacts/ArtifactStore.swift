internal import Foundation
internal import Protocol

/// Content-addressed files: `sha256/ab/<digest>`, written whole or not at all.
struct ArtifactStore: Sendable {
    private let root: String
    /// The largest artifact that is taken.
    var byteLimit: UInt64 = 512 << 30
    /// What must stay free on the disk.
    var reserve: UInt64 = 256 << 20

    /// A store below `root`; what an earlier process left half-written is removed.
    init(root: String) throws {
        self.root = root
        let manager = FileManager.default
        try? manager.removeItem(atPath: root + "/tmp")
        try manager.createDirectory(atPath: root + "/tmp", withIntermediateDirectories: true)
        for byte in 0..<256 {
            let folder = root + "/sha256/" + String(format: "%02x", byte)
            try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
    }

    /// Where an artifact is or would be.
    func path(_ digest: SHA256Digest) -> String {
        "\(root)/sha256/\(digest.hex.prefix(2))/\(digest.hex)"
    }

    /// Bytes of an artifact, or nil if it is not stored.
    func size(_ digest: SHA256Digest) -> UInt64? {
        var status = stat()
        guard stat(path(digest), &status) == 0 else {
            return nil
        }
        return UInt64(status.st_size)
    }

    /// The digests that are not stored.
    func missing(_ digests: [SHA256Digest]) -> [SHA256Digest] {
        digests.filter { size($0) == nil }
    }

    /// Stores what `next` yields, once its digest and size are as announced.
    ///
    /// - Throws: ``StoreError`` (`corrupt`, `noSpace`); nothing is left behind.
    func put(
        _ digest: SHA256Digest,
        size: UInt64,
        chunks: some AsyncSequence<[UInt8], any Error>
    ) async throws {
        try checkRoom(size)
        let temporary = "\(root)/tmp/\(UUID().uuidString)"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Self.failure("create", temporary)
        }
        defer {
            close(descriptor)
            unlink(temporary)
        }
        var hasher = SHA256Hasher()
        var count: UInt64 = 0
        for try await chunk in chunks {
            count += UInt64(chunk.count)
            guard count <= size else {
                throw StoreError(.corrupt, "more than the announced \(size) bytes came")
            }
            hasher.update(chunk)
            try Self.write(chunk, to: descriptor, path: temporary)
        }
        let found = hasher.finalize()
        guard found == digest, count == size else {
            throw StoreError(
                .corrupt,
                "\(count) bytes of sha256 \(found.hex) came instead of \(size) of \(digest.hex)"
            )
        }
        guard fsync(descriptor) == 0 else {
            throw Self.failure("fsync", temporary)
        }
        guard rename(temporary, path(digest)) == 0 else {
            throw Self.failure("rename", path(digest))
        }
        try Self.synchronizeFolder((path(digest) as NSString).deletingLastPathComponent)
    }

    /// Reads a range in chunks.
    ///
    /// `length`: 0 for all that follows `offset`.
    func read(
        _ digest: SHA256Digest,
        offset: UInt64,
        length: UInt64,
        onChunk: ([UInt8]) async throws -> Void
    ) async throws {
        guard let total = size(digest), let handle = FileHandle(forReadingAtPath: path(digest))
        else {
            throw StoreError(.notFound, "no artifact sha256:\(digest.hex)")
        }
        defer { try? handle.close() }
        guard offset <= total else {
            throw StoreError(.invalidArgument, "offset \(offset) is beyond the \(total) bytes")
        }
        try handle.seek(toOffset: offset)
        var left = length == 0 ? total - offset : min(length, total - offset)
        while left > 0 {
            let count = Int(min(left, 256 << 10))
            guard let data = try handle.read(upToCount: count), !data.isEmpty else {
                throw StoreError(.corrupt, "artifact sha256:\(digest.hex) is shorter than it was")
            }
            left -= UInt64(data.count)
            try await onChunk([UInt8](data))
        }
    }

    private func checkRoom(_ size: UInt64) throws {
        guard size <= byteLimit else {
            throw StoreError(
                .noSpace,
                "\(size) bytes exceed the limit of \(byteLimit) per artifact"
            )
        }
        let attributes = try FileManager.default.attributesOfFileSystem(forPath: root)
        let free = attributes[.systemFreeSize] as? UInt64 ?? .max
        guard free > reserve, size <= free - reserve else {
            throw StoreError(.noSpace, "\(size) bytes do not fit: \(free) are free in \(root)")
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws {
        var offset = 0
        while offset < bytes.count {
            let written = bytes.withUnsafeBytes { buffer in
                Foundation.write(
                    descriptor,
                    buffer.baseAddress.map { $0 + offset },
                    bytes.count - offset
                )
            }
            if written < 0 {
                if errno == EINTR {
                    continue
                }
                throw failure("write", path)
            }
            offset += written
        }
    }

    private static func synchronizeFolder(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw failure("open", path)
        }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw failure("fsync", path)
        }
    }

    private static func failure(_ action: String, _ path: String) -> StoreError {
        let code: StoreError.Code = errno == ENOSPC ? .noSpace : .unusable
        return StoreError(code, "\(path): \(action): \(String(cString: strerror(errno)))")
    }
}
