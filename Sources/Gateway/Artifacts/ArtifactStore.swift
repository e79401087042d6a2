internal import DurableFiles
internal import Foundation
internal import Protocol
internal import Synchronization

/// Content-addressed files: `sha256/ab/<digest>`, written whole or not at all.
///
/// An artifact whose bytes are no longer those of its digest is set aside under `damaged/` when that
/// is found, and counts as missing from then on: the next put of the right bytes repairs it. Where the disk takes no
/// move, it counts as missing as long as this process lives.
struct ArtifactStore: Sendable {
    /// Where the store is.
    let root: String
    /// Who brings or removes what.
    let custody = ArtifactCustody()
    /// The largest artifact that is taken.
    var byteLimit: UInt64 = 512 << 30
    /// What must stay free on the disk.
    var reserve: UInt64 = 256 << 20
    /// Bytes of room that are promised to an upload at once.
    var promiseStep: UInt64 = 64 << 20
    private let identity: StoreIdentity
    private let incoming = IncomingBytes()
    /// Files whose bytes this process has verified.
    private let verified = KnownVersions()
    /// Damaged files that could not be set aside.
    private let damaged = KnownVersions()

    /// A store below `root`; what an earlier process left half-written is removed.
    init(root: String) throws {
        self.root = root
        let manager = FileManager.default
        try? manager.removeItem(atPath: root + "/tmp")
        try manager.createDirectory(atPath: root + "/tmp", withIntermediateDirectories: true)
        try manager.createDirectory(atPath: root + "/damaged", withIntermediateDirectories: true)
        try CollectionLock.create(root: root)
        for byte in 0..<256 {
            let folder = root + "/sha256/" + String(format: "%02x", byte)
            try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        identity = try StoreIdentity(root: root)
    }

    /// What tells this store from any other.
    var id: String { identity.text }

    /// Whether the folder is the one of this store's start: while it is not, what is not found is not gone.
    var isThere: Bool { identity.isThere }

    /// Why nothing can be stored, whatever room there is, in words that follow "the artifacts"; nil if it can.
    ///
    /// It writes nothing, and is asked often.
    var obstacle: String? {
        guard isThere else { return "are not there (a mount that is gone?)" }
        // As after an error of the disk, when its file system is mounted anew to be read only.
        guard access(root + "/tmp", W_OK | X_OK) == 0 else {
            return "cannot be written: \(root)/tmp: \(String(cString: strerror(errno)))"
        }
        return nil
    }

    /// - Throws: ``StoreError`` (`outOfOrder`) while the store's folder is not there.
    func requirePresence() throws {
        guard isThere else {
            throw StoreError(
                .outOfOrder,
                """
                the artifacts in \(root) are not there: the folder is missing, empty or another one since the \
                gateway started, as when a mount is gone; nothing is lost once it is back
                """
            )
        }
    }

    /// - Throws: ``StoreError`` (`outOfOrder`) while nothing can be stored or removed.
    func requireUse() throws {
        try requirePresence()
        guard let obstacle else { return }
        throw StoreError(
            .outOfOrder,
            "the artifacts \(obstacle); nothing is removed until that is mended"
        )
    }

    /// What is said of an artifact that is not found.
    ///
    /// - Throws: ``StoreError`` (`outOfOrder`) if none would be.
    private func absence(of digest: SHA256Digest) throws -> StoreError {
        try requirePresence()
        return StoreError(.notFound, "no artifact sha256:\(digest.hex)")
    }

    /// Where an artifact is or would be.
    func path(_ digest: SHA256Digest) -> String {
        "\(root)/sha256/\(digest.hex.prefix(2))/\(digest.hex)"
    }

    /// Bytes of an artifact, or nil if it is not stored, or known to be damaged.
    func size(_ digest: SHA256Digest) -> UInt64? {
        let isDamaged = damaged.knows(digest) && damaged.holds(digest, FileVersion(path(digest)))
        return isDamaged ? nil : fileSize(digest)
    }

    /// Bytes of an artifact's file, whole or damaged; nil if there is none.
    func fileSize(_ digest: SHA256Digest) -> UInt64? {
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

    /// Stores what `chunks` yield, once its digest and size are as announced; also where a file of
    /// this digest stands, which may be damaged.
    ///
    /// - Throws: ``StoreError`` (`corrupt`, `noSpace`); nothing is left behind.
    func put(
        _ digest: SHA256Digest,
        size: UInt64,
        chunks: some AsyncSequence<[UInt8], any Error>
    ) async throws {
        guard size <= byteLimit else {
            throw StoreError(
                .tooLarge,
                "\(size) bytes exceed the limit of \(byteLimit) per artifact"
            )
        }
        try requirePresence()
        try checkRoom(size, incoming: incoming.count)
        // Room is promised as bytes come, a step at a time: who announces gigabytes and sends nothing
        // keeps nobody else from uploading.
        var promised = min(size, promiseStep)
        var end = promised
        try takeRoom(promised)
        defer { incoming.remove(promised) }
        let file = try StoreError.ofFiles { () throws(DurableFileError) in
            try DurableFile(
                path: path(digest),
                readers: .owner,
                aside: "\(root)/tmp/\(UUID().uuidString)"
            )
        }
        var hasher = SHA256Hasher()
        var count: UInt64 = 0
        for try await chunk in chunks {
            count += UInt64(chunk.count)
            guard count <= size else {
                throw StoreError(.corrupt, "more than the announced \(size) bytes came")
            }
            while count > end {
                incoming.remove(promised)
                promised = 0
                let next = min(size - end, promiseStep)
                try takeRoom(next)
                promised = next
                end += next
            }
            hasher.update(chunk)
            try StoreError.ofFiles { () throws(DurableFileError) in try file.append(chunk) }
        }
        let found = hasher.finalize()
        guard found == digest, count == size else {
            throw StoreError(
                .corrupt,
                "\(count) bytes of sha256 \(found.hex) came instead of \(size) of \(digest.hex)"
            )
        }
        do {
            try StoreError.ofFiles { () throws(DurableFileError) in try file.commit() }
        } catch {
            try requirePresence()
            throw error
        }
        damaged.forget(digest)
        verified.insert(digest, FileVersion(path(digest)))
    }

    /// Bytes that are read at once: hundreds of readers may do so at a time, and none of them be read from.
    private static let chunkSize = 32 << 10

    /// Reads a range in chunks; a file that this process has not yet read whole, or that was touched
    /// since, is verified first, so that no damaged byte is handed out.
    ///
    /// Who reads the whole has it compared with its digest once more on the way: a disk that loses bits
    /// touches no file's times. Such a reading ends with an error, after all bytes.
    ///
    /// `length`: 0 for all that follows `offset`.
    ///
    /// - Throws: ``StoreError`` (`notFound`; `corrupt` if the file is damaged, which sets it aside).
    func read(
        _ digest: SHA256Digest,
        offset: UInt64,
        length: UInt64,
        onChunk: ([UInt8]) async throws -> Void
    ) async throws {
        try await verify(digest)
        guard let total = size(digest), let handle = FileHandle(forReadingAtPath: path(digest))
        else {
            throw try absence(of: digest)
        }
        defer { try? handle.close() }
        guard offset <= total else {
            throw StoreError(.invalidArgument, "offset \(offset) is beyond the \(total) bytes")
        }
        try handle.seek(toOffset: offset)
        var left = length == 0 ? total - offset : min(length, total - offset)
        var hasher = left == total ? SHA256Hasher() : nil
        while left > 0 {
            let count = Int(min(left, UInt64(Self.chunkSize)))
            guard let data = try handle.read(upToCount: count), !data.isEmpty else {
                throw try await fault(in: digest)
            }
            left -= UInt64(data.count)
            let chunk = [UInt8](data)
            hasher?.update(chunk)
            try await onChunk(chunk)
        }
        if let found = hasher?.finalize(), found != digest { throw try await fault(in: digest) }
    }

    /// What is said of an artifact whose bytes were not those of its digest when they were read.
    ///
    /// - Throws: ``StoreError`` (`corrupt`) if they are not now, either, which sets the file aside.
    private func fault(in digest: SHA256Digest) async throws -> StoreError {
        try await verify(digest, isTrusting: false)
        return StoreError(
            .busy,
            "artifact sha256:\(digest.hex) changed while it was read; read it again"
        )
    }

    /// Checks that an artifact's bytes are those of its digest.
    ///
    /// `isTrusting`: Whether a file that was verified since this process began, and that has the same
    /// length and times, is believed.
    ///
    /// - Throws: ``StoreError`` (`notFound`; `corrupt`, which sets the file aside).
    func verify(_ digest: SHA256Digest, isTrusting: Bool = true) async throws {
        let path = path(digest)
        guard let version = FileVersion(path) else { throw try absence(of: digest) }
        if isTrusting, verified.holds(digest, version) { return }
        let found = try await Self.digest(ofFile: path)
        if found == digest {
            damaged.forget(digest)
            return verified.insert(digest, version)
        }
        // Repaired or removed meanwhile: what was read is not what is there.
        guard FileVersion(path) == version else {
            return try await verify(digest, isTrusting: isTrusting)
        }
        throw StoreError(
            .corrupt,
            """
            artifact sha256:\(digest.hex) is damaged: its bytes have the digest \(found.hex); it \
            \(setAside(path, version, digest))
            """
        )
    }

    /// Moves a damaged file out of the way; what became of it, in words.
    ///
    /// Where the disk takes no move, what was found stays true, and is remembered.
    private func setAside(_ path: String, _ version: FileVersion, _ digest: SHA256Digest) -> String
    {
        let aside = "\(root)/damaged/\(digest.hex)"
        do {
            try DurableFile.move(path, to: aside)
        } catch {
            damaged.insert(digest, version)
            return
                "stays where it is, for it cannot be set aside (\(error)), and counts as missing until it is put "
                + "again, or the gateway starts anew"
        }
        // Its age is counted from now, not from when it was stored.
        try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: aside)
        return "is set aside in \(aside), and counts as missing until it is put again"
    }

    /// The digest of a file, read in pieces between which others have their turn.
    private static func digest(ofFile path: String) async throws -> SHA256Digest {
        guard let file = FileHandle(forReadingAtPath: path) else { throw failure("open", path) }
        defer { try? file.close() }
        var hasher = SHA256Hasher()
        while true {
            let piece: Data?
            do {
                piece = try file.read(upToCount: chunkSize)
            } catch {
                throw StoreError(.unusable, "\(path): cannot be read: \(error)")
            }
            guard let piece, !piece.isEmpty else { break }
            piece.withUnsafeBytes { hasher.update($0) }
            try Task.checkCancellation()
            await Task.yield()
        }
        return hasher.finalize()
    }

    /// The digests of the artifacts whose first byte is this one, in order.
    func digests(beginningWith byte: UInt8) throws -> [SHA256Digest] {
        let folder = root + "/sha256/" + String(format: "%02x", byte)
        return try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
            .compactMap { SHA256Digest(hex: $0) }
    }

    /// Every artifact's digest, in order.
    func digests() throws -> [SHA256Digest] {
        try (UInt8.min...UInt8.max).flatMap { try digests(beginningWith: $0) }
    }

    /// Removes an artifact, whoever refers to it; ``ArtifactCollector`` asks first.
    ///
    /// - Returns: The bytes that it had; 0 if it was not stored.
    @discardableResult
    func remove(_ digest: SHA256Digest) throws -> UInt64 {
        let size = fileSize(digest) ?? 0
        guard unlink(path(digest)) == 0 || errno == ENOENT else {
            throw Self.failure("remove", path(digest))
        }
        return size
    }

    /// Removes damaged files that were set aside before a time; returns how many.
    func removeDamaged(before time: Date) throws -> Int {
        let folder = root + "/damaged"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        return names.filter { name in
            let found = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
            guard let changed = found?[.modificationDate] as? Date, changed < time else {
                return false
            }
            return unlink("\(folder)/\(name)") == 0
        }.count
    }

    /// Writes a little to the disk, durably, and takes it back: whether artifacts could be stored.
    ///
    /// - Throws: ``StoreError`` (`noSpace`, `unusable`).
    func probe() throws {
        try requirePresence()
        try checkRoom(0, incoming: incoming.count)
        let path = "\(root)/tmp/probe-\(UUID().uuidString)"
        try StoreError.ofFiles { () throws(DurableFileError) in
            // Never named, it goes at the end.
            let file = try DurableFile(path: path, readers: .owner)
            try file.append([UInt8](repeating: 0, count: 4096))
            try file.synchronize()
        }
    }

    /// Reserves room for an artifact that is coming.
    private func takeRoom(_ size: UInt64) throws {
        // What came of the others' steps may lie on the disk already: they count in full, which errs to
        // the safe side.
        let others = incoming.add(size)
        do {
            try checkRoom(size, incoming: others)
        } catch {
            incoming.remove(size)
            throw error
        }
    }

    private func checkRoom(_ size: UInt64, incoming: UInt64) throws {
        let attributes = try FileManager.default.attributesOfFileSystem(forPath: root)
        let free = attributes[.systemFreeSize] as? UInt64 ?? .max
        let (taken, overflow) = reserve.addingReportingOverflow(incoming)
        guard !overflow, free > taken, size <= free - taken else {
            throw StoreError(
                .noSpace,
                """
                the gateway's disk is full: \(size) bytes do not fit, \(free) are free in \(root), \(reserve) of them are the \
                reserve that stays free, \(incoming) are promised to other uploads
                """
            )
        }
    }

    private static func failure(_ action: String, _ path: String) -> StoreError {
        let code: StoreError.Code = errno == ENOSPC ? .noSpace : .unusable
        return StoreError(code, "\(path): \(action): \(String(cString: strerror(errno)))")
    }
}

/// The sizes of the uploads that are on their way.
private final class IncomingBytes: Sendable {
    private let total = Mutex<UInt64>(0)

    var count: UInt64 { total.withLock { $0 } }

    /// Adds an upload; returns the bytes of the others.
    func add(_ size: UInt64) -> UInt64 {
        total.withLock { total in
            defer { total = total.addingReportingOverflow(size).partialValue }
            return total
        }
    }

    func remove(_ size: UInt64) {
        total.withLock { $0 = $0.subtractingReportingOverflow(size).partialValue }
    }
}

/// Files of which this process knows something as they are; a bounded memory, the oldest forgotten first.
private final class KnownVersions: Sendable {
    private static let limit = 100_000

    private let state = Mutex<(versions: [SHA256Digest: FileVersion], order: [SHA256Digest])>(
        ([:], [])
    )

    /// Whether a file is known in some version.
    func knows(_ digest: SHA256Digest) -> Bool { state.withLock { $0.versions[digest] != nil } }

    /// Whether a file is known in this version.
    func holds(_ digest: SHA256Digest, _ version: FileVersion?) -> Bool {
        state.withLock { $0.versions[digest] != nil && $0.versions[digest] == version }
    }

    /// Its place in the order is given up with the others of its time.
    func forget(_ digest: SHA256Digest) { state.withLock { $0.versions[digest] = nil } }

    func insert(_ digest: SHA256Digest, _ version: FileVersion?) {
        guard let version else { return }
        state.withLock { state in
            if state.versions.updateValue(version, forKey: digest) == nil {
                state.order.append(digest)
            }
            guard state.order.count > Self.limit else { return }
            for old in state.order.prefix(Self.limit / 2) { state.versions[old] = nil }
            state.order.removeFirst(Self.limit / 2)
        }
    }
}
