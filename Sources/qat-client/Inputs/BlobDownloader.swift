internal import Foundation
internal import Protocol

/// Fetches blobs into files and checks their digests.
struct BlobDownloader {
    let client: RPCClient

    /// Fetches a blob into a file; one that is there already with the right content stays, and what an
    /// interrupted download left is gone on with.
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
        let partial = "\(path).\(digest.hex.prefix(12)).part"
        let descriptor = open(partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw Self.failure("cannot write \(partial)") }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw ClientError(.failed, "\(path): another download of it is under way")
        }
        var received: (digest: SHA256Digest, size: UInt64)
        do {
            received = try await receive(digest, into: handle, isGoingOn: true)
            if received.digest != digest {
                // What an earlier download left may be damaged: once more from the start.
                received = try await receive(digest, into: handle, isGoingOn: false)
            }
        } catch {
            // The next download goes on where a lost connection ended this one.
            if (error as? RPCError)?.isConnectionLoss != true { unlink(partial) }
            throw error
        }
        guard received.digest == digest, size.map({ $0 == received.size }) ?? true else {
            unlink(partial)
            throw ClientError(
                .failed,
                "\(path): what came has digest \(received.digest.hex) instead of \(digest.hex)"
            )
        }
        guard fsync(descriptor) == 0, rename(partial, path) == 0 else {
            throw Self.failure("cannot write \(path)")
        }
        return true
    }

    /// Reads a blob without keeping it, and returns the digest of what came.
    func check(_ digest: SHA256Digest) async throws -> (digest: SHA256Digest, size: UInt64) {
        try await receive(digest, into: nil, isGoingOn: false)
    }

    /// Reads a blob, behind what the file holds of it if `isGoingOn`.
    ///
    /// - Returns: The digest and size of all, what was there already included.
    private func receive(
        _ digest: SHA256Digest,
        into handle: FileHandle?,
        isGoingOn: Bool
    ) async throws -> (digest: SHA256Digest, size: UInt64) {
        var hasher = SHA256Hasher()
        var size: UInt64 = 0
        try handle?.seek(toOffset: 0)
        while isGoingOn, let piece = try handle?.read(upToCount: 1 << 20), !piece.isEmpty {
            piece.withUnsafeBytes { hasher.update($0) }
            size += UInt64(piece.count)
        }
        try handle?.truncate(atOffset: size)
        let request = GetBlobRequest(digest: digest, offset: size)
        do {
            try await client.download(QatMethods.getBlob, request) { chunk in
                hasher.update(chunk)
                size += UInt64(chunk.count)
                try handle?.write(contentsOf: chunk)
            }
        } catch let error as RPCError where isGoingOn && error.code == .invalidArgument {
            // More was there than the blob has.
            return try await receive(digest, into: handle, isGoingOn: false)
        }
        return (hasher.finalize(), size)
    }

    private static func failure(_ what: String) -> ClientError {
        ClientError(.failed, "\(what): \(String(cString: strerror(errno)))")
    }
}
