internal import Foundation
internal import Protocol
internal import ServiceKit

/// Makes a gateway's state folder out of a backup.
///
/// The database comes last: a restoration that was broken off leaves none, no gateway starts on it, and it
/// goes on when it is begun again.
struct GatewayRestore {
    /// The backup.
    let source: String
    /// The state folder: one that does not exist yet, or an empty one.
    let state: String
    /// Whether to go on without artifacts that the backup does not have whole.
    var acceptsGaps = false

    private static let database = "gateway.sqlite"
    private static let marker = "restoring"

    /// Checks that a state folder is no half of a restoration, before a gateway begins in it.
    ///
    /// One that was broken off between its last steps is whole, and is taken for done.
    ///
    /// - Throws: ``StoreError`` (`unusable`).
    static func requireWhole(_ state: String) throws {
        func isThere(_ name: String) -> Bool {
            FileManager.default.fileExists(atPath: "\(state)/\(name)")
        }
        guard isThere(marker) else { return }
        guard isThere(database), !isThere(database + ".new") else {
            throw StoreError(
                .unusable,
                "\(state) holds half of a restoration; finish it (qat-gateway restore --from BACKUP "
                    + "--state \(state)), or empty the folder to start anew"
            )
        }
        unlink("\(state)/\(marker)")
    }

    /// What was restored.
    struct Report: Sendable, Equatable {
        let jobs: Int
        let artifacts: Int
        let bytes: UInt64
        /// Artifacts that are not there.
        let gaps: [SHA256Digest]
        /// Rows that name nobody knows which artifact, in sentences.
        var unreadable: [String] = []
    }

    /// Restores.
    ///
    /// - Throws: ``StoreError`` (`unusable`) if the folder is in use, holds something, or the backup is
    ///   not whole.
    func run() throws -> Report {
        _ = try BackupManifest(folder: source)
        let folder = try StateFolder(path: state)
        defer { withExtendedLifetime(folder) {} }
        try Self.requireUnbegun(state)
        _ = FileManager.default.createFile(atPath: "\(state)/\(Self.marker)", contents: nil)
        let fresh = "\(state)/\(Self.database).new"
        try BackupFiles.copy("\(source)/\(Self.database)", to: fresh)
        let contents = try BackupDatabase.contents(fresh)
        let gaps = try copy(contents.artifacts)
        guard gaps.isEmpty || acceptsGaps else {
            throw StoreError(
                .unusable,
                "the backup lacks \(gaps.count) artifacts, or they are damaged: "
                    + gaps.prefix(5).map { "sha256:\($0.hex)" }.joined(separator: ", ")
                    + "; --accept-gaps restores the rest"
            )
        }
        if !gaps.isEmpty, gaps.count == contents.artifacts.count {
            try ArtifactPresence.accept(root: state + "/cas")
        }
        try BackupFiles.makeFolder(state + "/logs")
        for name in BackupFiles.names(source + "/logs") where name.hasSuffix(".log") {
            try BackupFiles.copy("\(source)/logs/\(name)", to: "\(state)/logs/\(name)")
        }
        if FileManager.default.fileExists(atPath: source + "/policy.json") {
            try BackupFiles.copy(source + "/policy.json", to: state + "/policy.json")
        }
        try BackupDatabase.prepare(fresh)
        try BackupFiles.move(fresh, to: "\(state)/\(Self.database)")
        unlink("\(state)/\(Self.marker)")
        try BackupFiles.synchronizeFolder(state)
        return Report(
            jobs: contents.jobs,
            artifacts: contents.artifacts.count - gaps.count,
            bytes: contents.artifacts.reduce(0) { $0 + $1.size },
            gaps: gaps,
            unreadable: contents.unreadable
        )
    }

    /// Nothing that a gateway left may be overwritten.
    ///
    /// A restoration that was broken off has left its marker and parts, but no database: that comes last.
    private static func requireUnbegun(_ state: String) throws {
        let isBegun = FileManager.default.fileExists(atPath: "\(state)/\(marker)")
        let databases = ["gateway.sqlite", "gateway.sqlite-wal", "gateway.sqlite-shm"]
        let names = isBegun ? databases : databases + ["cas", "logs"]
        if let name = names.first(where: {
            // An empty folder may be a mount that waits for it.
            FileManager.default.fileExists(atPath: "\(state)/\($0)")
                && ($0.hasPrefix("gateway.sqlite") || !BackupFiles.names("\(state)/\($0)").isEmpty)
        }) {
            throw StoreError(
                .unusable,
                "\(state) holds a gateway's state (\(name)); restore into an empty folder"
            )
        }
    }

    /// Copies artifacts, each compared with its digest; returns those that are not there.
    private func copy(_ artifacts: [BackupDatabase.Artifact]) throws -> [SHA256Digest] {
        for byte in 0..<256 {
            try BackupFiles.makeFolder("\(state)/cas/sha256/" + String(format: "%02x", byte))
        }
        var gaps: [SHA256Digest] = []
        for artifact in artifacts {
            let copied = BackupFiles.path(artifact.digest, in: state + "/cas")
            // Of a restoration that was broken off.
            if BackupFiles.size(copied) == artifact.size { continue }
            let kept = BackupFiles.path(artifact.digest, in: source + "/cas")
            guard BackupFiles.size(kept) != nil else {
                gaps.append(artifact.digest)
                continue
            }
            if try BackupFiles.copy(kept, to: copied) != artifact.digest {
                unlink(copied)
                gaps.append(artifact.digest)
            }
        }
        return gaps
    }
}
