internal import Foundation
internal import Protocol
internal import ServiceKit

/// Copies the state of a gateway, which may be at work, into a folder: the database of one moment, every
/// artifact that it refers to, logs and policy.
///
/// A folder that holds an earlier backup is brought up to date; what is there already is not copied again.
struct GatewayBackup {
    /// The gateway's state folder.
    let state: String
    /// Where the backup goes.
    let target: String
    /// Whether artifacts that an earlier backup left are read again.
    var rereads = false
    /// How long to wait for removals that are under way.
    var patience = Duration.seconds(60)

    private static let database = "gateway.sqlite"

    /// Makes the backup.
    ///
    /// - Throws: ``StoreError`` (`unusable`, `busy`); an earlier backup in the folder stays usable.
    func run() async throws -> BackupManifest {
        guard FileManager.default.fileExists(atPath: "\(state)/\(Self.database)") else {
            throw StoreError(
                .unusable,
                "\(state)/\(Self.database): no such file; is this a gateway's state folder?"
            )
        }
        let created = Int64(Date.now.timeIntervalSince1970)
        try checkStore()
        try checkTarget()
        let lock = try FolderLock(target)
        defer { withExtendedLifetime(lock) {} }
        let fresh = "\(target)/\(Self.database).new"
        let (contents, incomplete) = try await copyConsistently(fresh)
        try copyLogs()
        if FileManager.default.fileExists(atPath: state + "/policy.json") {
            try BackupFiles.copy(state + "/policy.json", to: target + "/policy.json")
        } else {
            // Who was withdrawn is to get no rights back from an earlier backup's file.
            unlink(target + "/policy.json")
        }
        try BackupFiles.move(fresh, to: "\(target)/\(Self.database)")
        let manifest = BackupManifest(
            version: SuiteVersion.current,
            created: created,
            jobs: contents.jobs,
            artifacts: contents.artifacts.count - incomplete.count,
            bytes: contents.artifacts.filter { !incomplete.contains($0.digest) }
                .reduce(0) { $0 + $1.size },
            incomplete: incomplete.map(\.hex),
            unreadable: contents.unreadable
        )
        try manifest.write(folder: target)
        prune(keeping: Set(contents.artifacts.map(\.digest)))
        return manifest
    }

    /// Checks that the artifacts are the database's: another store's would be left out one by one.
    private func checkStore() throws {
        let root = state + "/cas"
        let known = try BackupDatabase.artifactStore("\(state)/\(Self.database)")
        guard let known, StoreIdentity.known(root) != known else { return }
        throw StoreError(
            .outOfOrder,
            "the artifacts in \(root) are not those of the database, whose store has the id \(known): the folder "
                + "is missing, empty or another one, as when a mount is gone"
        )
    }

    /// A new folder, an empty one, or one that a backup was begun in.
    private func checkTarget() throws {
        // A backup that dies with what it is of is none, and the next one would hold it, too.
        guard !BackupFiles.isInside(target, state) else {
            throw StoreError(
                .unusable,
                "\(target) is inside the state folder \(state); choose a folder outside of it"
            )
        }
        try BackupFiles.makeFolder(target)
        let names = BackupFiles.names(target)
        let own = [BackupManifest.fileName, "\(Self.database).new", FolderLock.fileName]
        guard names.isEmpty || own.contains(where: names.contains) else {
            throw StoreError(
                .unusable,
                "\(target) holds other things than a backup; choose another"
            )
        }
    }

    /// Copies the database, then the artifacts, none of which is removed meanwhile.
    private func copyConsistently(
        _ database: String
    ) async throws -> (BackupDatabase.Contents, incomplete: [SHA256Digest]) {
        let lock = try await collectionLock()
        defer { withExtendedLifetime(lock) {} }
        try BackupDatabase.snapshot("\(state)/\(Self.database)", to: database)
        let contents = try BackupDatabase.contents(database)
        for byte in 0..<256 {
            try BackupFiles.makeFolder("\(target)/cas/sha256/" + String(format: "%02x", byte))
        }
        var incomplete: [SHA256Digest] = []
        for artifact in contents.artifacts where try !copy(artifact) {
            incomplete.append(artifact.digest)
        }
        return (contents, incomplete)
    }

    private func collectionLock() async throws -> CollectionLock {
        let deadline = ContinuousClock.now + patience
        while true {
            if let lock = try CollectionLock.alone(root: state + "/cas") { return lock }
            guard ContinuousClock.now < deadline else {
                throw StoreError(
                    .busy,
                    "the gateway is removing artifacts, or another backup runs; try again later"
                )
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Brings an artifact into the backup, by a link where that is possible.
    ///
    /// - Returns: Whether it is there, and is what its digest says.
    private func copy(_ artifact: BackupDatabase.Artifact) throws -> Bool {
        let source = BackupFiles.path(artifact.digest, in: state + "/cas")
        let copied = BackupFiles.path(artifact.digest, in: target + "/cas")
        if BackupFiles.size(copied) == artifact.size {
            // A store that was mended has another file now than the one that it shared with the backup.
            let isDoubtful = rereads || BackupFiles.wasReplaced(source, sharedAs: copied)
            guard isDoubtful, try SHA256Digest.digest(ofFile: copied).0 != artifact.digest else {
                return true
            }
        }
        unlink(copied)
        guard BackupFiles.size(source) != nil else { return false }
        // An artifact is written once and never changed, so both may be one file.
        let linked = copied + ".linking"
        unlink(linked)
        if link(source, linked) == 0 {
            guard try SHA256Digest.digest(ofFile: linked).0 == artifact.digest else {
                unlink(linked)
                return false
            }
            try BackupFiles.move(linked, to: copied)
            return true
        }
        guard try BackupFiles.copy(source, to: copied) == artifact.digest else {
            unlink(copied)
            return false
        }
        return true
    }

    /// Logs grow at their end only: one of the same length is the same.
    private func copyLogs() throws {
        try BackupFiles.makeFolder(target + "/logs")
        let names = BackupFiles.names(state + "/logs").filter { $0.hasSuffix(".log") }
        for name in names {
            let source = "\(state)/logs/\(name)"
            let copied = "\(target)/logs/\(name)"
            // Nil: removed with its job a moment ago.
            guard let size = BackupFiles.size(source), size != BackupFiles.size(copied) else {
                continue
            }
            try BackupFiles.copy(source, to: copied)
        }
        for name in Set(BackupFiles.names(target + "/logs")).subtracting(names) {
            unlink("\(target)/logs/\(name)")
        }
    }

    /// Removes what an earlier backup had and this one does not need.
    private func prune(keeping digests: Set<SHA256Digest>) {
        for byte in 0..<256 {
            let folder = "\(target)/cas/sha256/" + String(format: "%02x", byte)
            for name in BackupFiles.names(folder) {
                guard let digest = SHA256Digest(hex: name), digests.contains(digest) else {
                    unlink("\(folder)/\(name)")
                    continue
                }
            }
        }
    }
}

/// Keeps two programs from writing into one backup.
final class FolderLock: Sendable {
    static let fileName = ".lock"
    private let descriptor: Int32

    /// - Throws: ``StoreError`` (`busy`) while another one has it.
    init(_ folder: String) throws {
        let path = "\(folder)/\(Self.fileName)"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BackupFiles.failure("open", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw StoreError(.busy, "\(folder): another backup is being written there")
        }
    }

    deinit { close(descriptor) }
}
