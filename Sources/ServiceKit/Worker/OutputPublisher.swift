internal import Foundation
internal import Protocol

/// Uploads a job's outputs to the gateway's store.
struct OutputPublisher: Sendable {
    let link: GatewayLink

    private static let chunkByteCount = 256 << 10

    /// The files under a folder by their relative paths, with their digests.
    static func inventory(_ folder: String) throws -> [OutputFile] {
        try files(in: folder).map { name in
            let (digest, size) = try SHA256Digest.digest(ofFile: "\(folder)/\(name)")
            return OutputFile(name: name, digest: digest, size: size)
        }
    }

    /// Uploads those of some files under `folder` that the store lacks.
    ///
    /// `onDelay`: Told what takes longer and why, as when the gateway's disk is full, and when it goes on.
    /// `checkWorth`: Asked before every further try, and before what follows one; what it throws ends it.
    func publish(
        _ outputs: [OutputFile],
        in folder: String,
        onDelay: (_ what: String, RPCError?) -> Void = { _, _ in },
        checkWorth: () throws -> Void = {}
    ) async throws {
        var isDelayed = false
        func note(_ what: String, _ error: RPCError?) {
            if error != nil { isDelayed = true }
            onDelay(what, error)
        }
        let digests = Array(Set(outputs.map(\.digest)))
        let missing = try await link.untilAnswered(
            "asking for missing outputs",
            onDelay: { note("asking for missing outputs", $0) },
            checkWorth: checkWorth
        ) {
            try await link.client.call(QatMethods.findMissing, FindMissingRequest(digests: digests))
        }
        for output in outputs where missing.digests.contains(output.digest) {
            // What came through after a delay is not gone on with if it is not worth it any more.
            if isDelayed { try checkWorth() }
            try await link.untilAnswered(
                "uploading \(output.name)",
                onDelay: { note("uploading \(output.name)", $0) },
                checkWorth: checkWorth
            ) {
                try await upload(output, from: "\(folder)/\(output.name)")
            }
        }
        if isDelayed { try checkWorth() }
    }

    private func upload(_ output: OutputFile, from path: String) async throws {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw ServiceError(.inputOutput, "\(path): cannot be read")
        }
        defer { try? handle.close() }
        _ = try await link.client.upload(
            QatMethods.putBlob,
            PutBlobRequest(digest: output.digest, size: output.size),
            size: output.size,
            digest: output.digest,
            nextChunk: {
                let data = try handle.read(upToCount: Self.chunkByteCount)
                return data.flatMap { $0.isEmpty ? nil : [UInt8]($0) }
            }
        )
    }

    /// Relative paths of the regular files below a folder, sorted.
    static func files(in folder: String) throws -> [String] {
        guard let enumerator = FileManager.default.enumerator(atPath: folder) else {
            throw ServiceError(.inputOutput, "\(folder): cannot be listed")
        }
        var names: [String] = []
        while let name = enumerator.nextObject() as? String {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
            if attributes[.type] as? FileAttributeType == .typeRegular {
                names.append(name)
            }
        }
        return names.sorted()
    }
}
