internal import Foundation
internal import Protocol

/// Fetches blobs into files and checks their digests.
struct BlobDownloader {
    let client: RPCClient

    /// Fetches a blob into a file; one that is there already with the right content stays.
    ///
    /// - Parameters:
    ///   - digest: The blob.
    ///   - size: The expected length; nil when it is not known.
    ///   - path: The file.
    /// - Returns: Whether anything was fetched.
    /// - Throws: What the gateway answers, or ``ClientError`` (`failed`) when the content or the
    ///   disk is not right; then the target is as it was before.
    func fetch(_ digest: SHA256Digest, size: UInt64?, to path: String) async throws -> Bool {
        if FileManager.default.fileExists(atPath: path),
            let present = try? SHA256Digest.digest(ofFile: path), present.0 == digest
        {
            return false
        }
        let folder = URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
        try? FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        let partial = "\(path).\(getpid()).part"
        guard FileManager.default.createFile(atPath: partial, contents: nil),
            let handle = FileHandle(forWritingAtPath: partial)
        else {
            throw ClientError(.failed, "cannot write \(partial)")
        }
        defer { unlink(partial) }
        let received = try await receive(digest, into: handle)
        guard received.digest == digest, size.map({ $0 == received.size }) ?? true else {
            throw ClientError(
                .failed,
                "\(path): what came has digest \(received.digest.hex) instead of \(digest.hex)"
            )
        }
        guard rename(partial, path) == 0 else {
            throw ClientError(.failed, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
        return true
    }

    /// Reads a blob without keeping it, and returns the digest of what came.
    func check(_ digest: SHA256Digest) async throws -> (digest: SHA256Digest, size: UInt64) {
        try await receive(digest, into: nil)
    }

    private func receive(
        _ digest: SHA256Digest,
        into handle: FileHandle?
    ) async throws -> (digest: SHA256Digest, size: UInt64) {
        var hasher = SHA256Hasher()
        var size: UInt64 = 0
        try await client.download(QatMethods.getBlob, GetBlobRequest(digest: digest)) { chunk in
            hasher.update(chunk)
            size += UInt64(chunk.count)
            try handle?.write(contentsOf: chunk)
        }
        if let handle {
            try handle.synchronize()
            try handle.close()
        }
        return (hasher.finalize(), size)
    }
}
