internal import DurableFiles
internal import Foundation
internal import Protocol

/// Fetches blobs into files and checks their digests.
struct BlobDownloader {
    let client: RPCClient
    /// Whether a file that is there with another content is replaced.
    var overwrites = false
    /// Called with the bytes of a file that are there, those of an earlier download included.
    var onProgress: @Sendable (_ received: UInt64) -> Void = { _ in }

    /// What stands where a blob is to go.
    enum Place: Equatable {
        /// Nothing.
        case free
        /// The blob.
        case same
        /// Something else.
        case other
        /// No regular file, which nothing is written to.
        case special
    }

    /// What stands at a path; a file is read only if its length is right.
    static func place(of digest: SHA256Digest, size: UInt64?, at path: String) -> Place {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else {
            return .free
        }
        // A link is what it leads to; one that leads nowhere is replaced as any other file.
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { return .special }
        // A link's own length says nothing.
        let isFile = attributes[.type] as? FileAttributeType == .typeRegular
        if isFile, let size, attributes[.size] as? UInt64 != size { return .other }
        guard let present = try? SHA256Digest.digest(ofFile: path) else { return .other }
        return present.0 == digest ? .same : .other
    }

    /// The refusal to write to what is no file.
    static func specialRefusal(_ path: String) -> String {
        "\(path) is there already and is no regular file; --to names another place"
    }

    /// The same of one file alone, for which a folder may have been named.
    private static func refusal(special path: String) -> String {
        var isFolder: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        return isThere && isFolder.boolValue
            ? "\(path) is a folder; name a file in it with --to" : specialRefusal(path)
    }

    /// The refusal to replace a file.
    static func refusal(_ path: String) -> String {
        "\(path) is there already with another content; --overwrite replaces it, --to names another place"
    }

    /// Fetches a blob into a file; one that is there already with the right content stays, and what an
    /// interrupted download left is gone on with.
    ///
    /// - Parameters:
    ///   - digest: The blob.
    ///   - size: The expected length; nil when it is not known.
    ///   - path: The file.
    /// - Returns: Whether anything was fetched.
    /// - Throws: What the gateway answers, or ``ClientError``: (`usage`) when the file is there with another
    ///   content and ``overwrites`` is false, (`failed`) when the content or the disk is not right; then the
    ///   target is as it was before.
    func fetch(_ digest: SHA256Digest, size: UInt64?, to path: String) async throws -> Bool {
        switch Self.place(of: digest, size: size, at: path) {
        case .same: return false
        case .special: throw ClientError(.usage, Self.refusal(special: path))
        case .other where !overwrites: throw ClientError(.usage, Self.refusal(path))
        case .free, .other: break
        }
        try Self.makeFolder(of: path)
        let partial = Self.partial(of: path, digest)
        let descriptor = open(partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw Self.failure("cannot write \(path)") }
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
            throw Self.ended(by: error, path, partial)
        }
        guard received.digest == digest, size.map({ $0 == received.size }) ?? true else {
            unlink(partial)
            throw ClientError(
                .failed,
                "\(path): what came has digest \(received.digest.hex) instead of \(digest.hex)"
            )
        }
        do {
            try DurableFile.synchronize(partial)
            try moveIntoPlace(partial, path)
        } catch let error as DurableFileError {
            throw ClientError(error, naming: path)
        }
        return true
    }

    /// Names a whole file as asked for; nothing that appeared there meanwhile is lost.
    private func moveIntoPlace(_ partial: String, _ path: String) throws {
        if !overwrites {
            if link(partial, path) == 0 {
                unlink(partial)
                try DurableFile.synchronizeFolder((path as NSString).deletingLastPathComponent)
                return
            }
            guard errno != EEXIST else {
                unlink(partial)
                throw ClientError(.usage, Self.refusal(path))
            }
            // Some file systems have no links.
        }
        try DurableFile.move(partial, to: path)
    }

    private static func makeFolder(of path: String) throws {
        let folder = URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
        try TargetFolder.check(folder)
        do {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true
            )
        } catch {
            throw ClientError(
                .failed,
                "cannot create \(folder): \(FileFault(error)?.reason ?? "\(error)")"
            )
        }
    }

    /// Where a download keeps what it has so far.
    static func partial(of path: String, _ digest: SHA256Digest) -> String {
        AsideName.path(path, suffix: ".\(digest.hex.prefix(12)).part")
    }

    /// The error that ended a download; what came stays where the next one can go on from it.
    private static func ended(by error: any Error, _ path: String, _ partial: String) -> any Error {
        guard let fault = FileFault(error) else {
            if (error as? RPCError)?.isConnectionLoss != true { unlink(partial) }
            return error
        }
        guard error.isFullDisk else {
            unlink(partial)
            return ClientError(.failed, "cannot write \(path): \(fault.reason)")
        }
        return ClientError(
            .failed,
            "cannot write \(path): \(fault.reason); make room and download it again, which goes on from "
                + "\(partial), or name another place with --to"
        )
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
        onProgress(size)
        let request = GetBlobRequest(digest: digest, offset: size)
        do {
            try await client.download(QatMethods.getBlob, request) { chunk in
                hasher.update(chunk)
                size += UInt64(chunk.count)
                onProgress(size)
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
