internal import Foundation
internal import Protocol

/// Sends the files that the gateway's store lacks.
struct BlobUploader {
    let client: RPCClient
    /// Called with the bytes sent so far, the bytes to send, and the file under way.
    var onProgress: @Sendable (_ sent: UInt64, _ total: UInt64, _ file: String) -> Void = {
        _,
        _,
        _ in
    }
    /// How long to wait before a file is sent once more that the gateway cannot take now: its disk is
    /// full, and somebody may make room.
    var pauses: [Duration] = [.seconds(1), .seconds(2), .seconds(4), .seconds(8)]

    private static let digestsPerQuestion = 1000
    private static let chunkByteCount = 64 << 10

    /// Asks which files are missing and sends these, and shows on a terminal how far it is.
    ///
    /// - Throws: What ``upload(_:)`` throws.
    static func upload(_ files: [PlannedFile], _ client: RPCClient) async throws {
        let meter = TransferMeter("sending")
        defer { meter.clear() }
        try await BlobUploader(
            client: client,
            onProgress: { meter.advance(to: $0, of: $1, file: $2) }
        ).upload(files)
    }

    /// Asks which files are missing and sends these.
    ///
    /// - Returns: The bytes sent.
    /// - Throws: What the gateway answers, or ``ClientError`` (`usage`) naming a file that changes meanwhile.
    @discardableResult
    func upload(_ files: [PlannedFile]) async throws -> UInt64 {
        let missing = try await Self.missing(files.map(\.digest), client)
        let wanted = files.filter { missing.contains($0.digest) }
        let total = wanted.reduce(0) { $0 + $1.size }
        var sent: UInt64 = 0
        for file in wanted {
            try await sendPatiently(file, before: sent, total: total)
            sent += file.size
        }
        return sent
    }

    /// Those of some artifacts that the gateway does not have for whoever asks.
    static func missing(
        _ digests: [SHA256Digest],
        _ client: RPCClient
    ) async throws -> Set<SHA256Digest> {
        var missing: Set<SHA256Digest> = []
        for start in stride(from: 0, to: digests.count, by: digestsPerQuestion) {
            let batch = Array(digests[start..<min(start + digestsPerQuestion, digests.count)])
            let request = FindMissingRequest(digests: batch)
            missing.formUnion(try await client.call(QatMethods.findMissing, request).digests)
        }
        return missing
    }

    private func sendPatiently(
        _ file: PlannedFile,
        before: UInt64,
        total: UInt64
    ) async throws {
        for pause in pauses {
            do {
                return try await send(file, before: before, total: total)
            } catch let error as RPCError
                where error.code == .unavailable && error.category == .retryLater
            {
                Console.note("\(error.message); trying again in \(pause.components.seconds) s")
                try await Task.sleep(for: pause)
            }
        }
        try await send(file, before: before, total: total)
    }

    private static func piece(of handle: FileHandle, _ path: String) throws -> Data? {
        do {
            return try handle.read(upToCount: chunkByteCount)
        } catch {
            throw ClientError(.failed, "cannot read \(path): \(FileFault.text(of: error))")
        }
    }

    private func send(_ file: PlannedFile, before: UInt64, total: UInt64) async throws {
        guard let handle = FileHandle(forReadingAtPath: file.path) else {
            throw ClientError(.usage, "\(file.path) cannot be read any more")
        }
        defer { try? handle.close() }
        var sent = before
        do {
            _ = try await client.upload(
                QatMethods.putBlob,
                PutBlobRequest(digest: file.digest, size: file.size),
                size: file.size,
                digest: file.digest,
                nextChunk: {
                    guard let data = try Self.piece(of: handle, file.path), !data.isEmpty else {
                        return nil
                    }
                    sent += UInt64(data.count)
                    onProgress(sent, total, file.name)
                    return [UInt8](data)
                }
            )
        } catch let error as RPCError where Self.hasChanged(file, error) {
            throw ClientError(
                .usage,
                "\(file.path) changed while it was sent; once it is complete, do the same again"
            )
        }
    }

    /// Whether a file that was refused is not the one that was hashed before.
    ///
    /// A lost connection says nothing of the content, and reading all of it again takes its time: then its
    /// size has to do.
    private static func hasChanged(_ file: PlannedFile, _ error: RPCError) -> Bool {
        let size =
            (try? FileManager.default.attributesOfItem(
                atPath: URL(filePath: file.path).resolvingSymlinksInPath()
                    .path(percentEncoded: false)
            ))?[.size] as? UInt64
        if size != file.size { return true }
        guard !error.isConnectionLoss else { return false }
        let found = try? SHA256Digest.digest(ofFile: file.path)
        return found.map { $0.0 != file.digest } ?? true
    }
}
