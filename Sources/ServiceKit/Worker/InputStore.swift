internal import DurableFiles
internal import Foundation
internal import Jobs
internal import Protocol

/// Brings a job's inputs onto this machine: a cache by digest, and a folder per job that links to it.
struct InputStore: Sendable {
    let cacheFolder: String
    let link: GatewayLink
    /// Bytes the cache may hold before the least recently used files go.
    var byteLimit: UInt64 = 64 << 30
    /// Bytes of the disk that are left free as long as there are files of the cache to remove.
    var reserve: UInt64 = 0

    /// Fetches what is missing and lays out the inputs.
    ///
    /// - Returns: Local paths by the inputs' JSON pointers: a file, or a folder of several.
    func materialize(_ inputs: [Input], in folder: String) async throws -> [String: String] {
        try? FileManager.default.removeItem(atPath: folder)
        var paths: [String: String] = [:]
        for (index, input) in inputs.enumerated() {
            let root = "\(folder)/\(index)"
            try await place(input.files, in: root) { file, error in
                MissingInput(input, file, error) ?? error
            }
            paths[input.pointer] = Self.location(of: input.files.map(\.path), root: root)
        }
        return paths
    }

    /// Fetches files and lays them out below a folder, by their paths.
    ///
    /// `failure`: What is thrown for a file that cannot be fetched.
    func place(
        _ files: [InputFile],
        in root: String,
        failure: (InputFile, any Error) -> any Error = { $1 }
    ) async throws {
        for file in files {
            let name = try Self.checked(file.path)
            let cached: String
            do { cached = try await self.cached(file) } catch { throw failure(file, error) }
            let target = "\(root)/\(name)"
            let parent = (target as NSString).deletingLastPathComponent
            try FileManager.default.createDirectory(
                atPath: parent,
                withIntermediateDirectories: true
            )
            try Self.linkOrCopy(cached, target)
        }
    }

    /// One file stands for itself, whatever it is called; several for the folder of their config.json, the
    /// outermost if there are others in folders of it, or for the root.
    static func location(of names: [String], root: String) -> String {
        guard names.count != 1 else { return "\(root)/\(names[0])" }
        let folders = names.filter { ($0 as NSString).lastPathComponent == "config.json" }
            .map { ($0 as NSString).deletingLastPathComponent }
        let outermost = folders.min {
            $0.split(separator: "/").count < $1.split(separator: "/").count
        }
        guard let outermost, !outermost.isEmpty else { return root }
        return "\(root)/\(outermost)"
    }

    private static func checked(_ name: String) throws -> String {
        if let fault = PlainText.pathFault(in: name, byteLimit: JobLimits().pathBytes) {
            throw ServiceError(.inputOutput, "the input's name \(PlainText.quoted(name)) \(fault)")
        }
        return name
    }

    private func cached(_ file: InputFile) async throws -> String {
        let path = "\(cacheFolder)/\(file.digest.hex)"
        // Read whole every time: a weight that changed on the disk would change the result in silence.
        if Self.size(path) == file.size,
            let found = try? SHA256Digest.digest(ofFile: path), found.0 == file.digest
        {
            try? FileManager.default.setAttributes(
                [.modificationDate: Date.now],
                ofItemAtPath: path
            )
            return path
        }
        try? FileManager.default.removeItem(atPath: path)
        makeRoom(for: file.size)
        try await link.untilAnswered("fetching \(file.path)") {
            try await fetch(file, to: path)
        }
        return path
    }

    private func fetch(_ file: InputFile, to path: String) async throws {
        let writer = try HashingWriter(path: path)
        do {
            try await fetch(file, with: writer)
        } catch {
            // Whatever still holds it: the next try writes under the same name.
            await writer.discard()
            throw error
        }
    }

    private func fetch(_ file: InputFile, with writer: HashingWriter) async throws {
        try await link.client.download(
            QatMethods.getBlob,
            GetBlobRequest(digest: file.digest),
            onChunk: { try await writer.write($0) }
        )
        let (digest, size) = await writer.found()
        guard digest == file.digest, size == file.size else {
            throw ServiceError(
                .inputOutput,
                "\(file.path): \(size) bytes of digest \(digest.hex) came instead of \(file.digest.hex)"
            )
        }
        try await writer.commit()
    }

    /// Removes the least recently used files of the cache until a file of a size fits under its limit and
    /// on the disk, or none are left.
    func makeRoom(for size: UInt64 = 0) {
        let manager = FileManager.default
        var files = ((try? manager.contentsOfDirectory(atPath: cacheFolder)) ?? []).map { name in
            let path = "\(cacheFolder)/\(name)"
            let attributes = try? manager.attributesOfItem(atPath: path)
            return (
                path: path, size: attributes?[.size] as? UInt64 ?? 0,
                links: attributes?[.referenceCount] as? Int ?? 1,
                used: attributes?[.modificationDate] as? Date ?? .distantPast
            )
        }
        files.sort { $0.used < $1.used }
        var total = files.reduce(0) { $0 + $1.size }
        let needed = size.addingReportingOverflow(reserve)
        for file in files {
            // What a job's folder links to takes its room with or without the cache.
            let isDiskFull =
                file.links == 1
                && (needed.overflow || DiskRoom.free(cacheFolder) < needed.partialValue)
            guard total > byteLimit || size > byteLimit - total || isDiskFull else { continue }
            try? manager.removeItem(atPath: file.path)
            total -= file.size
        }
    }

    private static func size(_ path: String) -> UInt64? {
        (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? UInt64
    }

    private static func linkOrCopy(_ source: String, _ target: String) throws {
        do {
            try FileManager.default.linkItem(atPath: source, toPath: target)
        } catch {
            try FileManager.default.copyItem(atPath: source, toPath: target)
        }
    }
}

/// Writes chunks to a file while hashing them.
private actor HashingWriter {
    private let file: DurableFile
    private var hasher = SHA256Hasher()
    private var size: UInt64 = 0

    init(path: String) throws {
        file = try DurableFile(path: path)
    }

    func write(_ bytes: [UInt8]) throws {
        hasher.update(bytes)
        size += UInt64(bytes.count)
        try file.append(bytes)
    }

    /// What came, at the end.
    func found() -> (SHA256Digest, UInt64) { (hasher.finalize(), size) }

    func commit() throws {
        try file.commit()
    }

    func discard() {
        file.discard()
    }
}
