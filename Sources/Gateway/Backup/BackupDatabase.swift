internal import Foundation
internal import GRDB
internal import Protocol

/// The database within a backup.
enum BackupDatabase {
    /// An artifact that a database refers to.
    struct Artifact: Sendable, Equatable {
        let digest: SHA256Digest
        let size: UInt64
    }

    /// Added to what counts leases when a backup is restored: no number that was handed out after the
    /// backup comes again.
    static let epochStride: Int64 = 1 << 20

    /// Copies a database that may be in use, as it is at one moment, and checks the copy.
    ///
    /// - Throws: ``StoreError`` (`unusable`) if it is damaged, or of a newer version.
    static func snapshot(_ source: String, to target: String) throws {
        try GatewayDatabase.naming(source) {
            do {
                try copy(source, to: target)
            } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
                // Only the copy is written.
                throw StoreError(.noSpace, "\(target): no space left on its disk; make room there")
            }
        }
    }

    private static func copy(_ source: String, to target: String) throws {
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(target + suffix) }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(60)
        let reader = try DatabaseQueue(path: source, configuration: configuration)
        // SQLite would let everybody on the machine read it.
        let descriptor = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BackupFiles.failure("create", target) }
        close(descriptor)
        let writer = try DatabaseQueue(path: target)
        // All pages in one read: writers go on, and the copy is of one moment.
        try reader.backup(to: writer)
        try reader.close()
        try writer.writeWithoutTransaction { db in
            // One file, without a log beside it.
            try db.execute(sql: "PRAGMA journal_mode = DELETE")
        }
        try check(writer, target)
        try writer.close()
        try BackupFiles.synchronize(target)
    }

    private static func check(_ database: DatabaseQueue, _ path: String) throws {
        try database.read { db in
            let verdict = try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
            guard verdict == "ok" else {
                throw StoreError(.unusable, "\(path): damaged: \(verdict ?? "?")")
            }
            let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            guard version <= GatewayDatabase.schemaVersion else {
                throw StoreError(
                    .unusable,
                    "\(path): schema \(version) is newer than this program's "
                        + "\(GatewayDatabase.schemaVersion); use the gateway's own version"
                )
            }
        }
    }

    /// The identity of a database's store; nil if it knows none.
    static func artifactStore(_ path: String) throws -> String? {
        try GatewayDatabase.naming(path) {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(60)
            let database = try DatabaseQueue(path: path, configuration: configuration)
            defer { try? database.close() }
            return try database.read { db in
                guard try db.tableExists("artifact_store") else { return nil }
                return try String.fetchOne(db, sql: "SELECT id FROM artifact_store")
            }
        }
    }

    /// What a database refers to.
    struct Contents: Sendable {
        /// Every artifact.
        var artifacts: [Artifact] = []
        /// How many jobs it has.
        var jobs = 0
        /// Rows that name nobody knows which artifact, in sentences: the first 1,000.
        var unreadable: [String] = []
    }

    /// What a database refers to; a row that cannot be read keeps nothing else.
    static func contents(_ path: String) throws -> Contents {
        try GatewayDatabase.naming(path) { try read(path) }
    }

    private static func read(_ path: String) throws -> Contents {
        let database = try DatabaseQueue(path: path)
        defer { try? database.close() }
        return try database.read { db in
            let tables = ["input_file", "output", "checkpoint_file", "artifact_grant"]
            let present = try tables.filter { try db.tableExists($0) }
            let rows = try Row.fetchAll(
                db,
                sql: present.map { "SELECT digest, size FROM \($0)" }
                    .joined(separator: " UNION ") + " ORDER BY digest"
            )
            var contents = Contents()
            for row in rows {
                guard let digest = SHA256Digest(bytes: [UInt8](row["digest"] as Data)),
                    contents.artifacts.last?.digest != digest
                else { continue }
                contents.artifacts.append(
                    Artifact(digest: digest, size: UInt64(clamping: row["size"] as Int64))
                )
            }
            contents.jobs = try Int.fetchOne(db, sql: "SELECT count(*) FROM job") ?? 0
            contents.unreadable = try DamagedDigest.all(db, limit: 1_000).map(\.message)
            return contents
        }
    }

    /// Makes a copy of a backup's database ready to be used: leases of the time after the backup are worth
    /// nothing, and what was uploaded has its time of grace from now on.
    static func prepare(_ path: String) throws {
        let database = try DatabaseQueue(path: path)
        try check(database, path)
        try database.write { db in
            try db.execute(
                sql: "UPDATE job SET epoch = epoch + ? WHERE state <> 'SUCCEEDED'",
                arguments: [epochStride]
            )
            // The artifacts are restored into a folder of their own.
            if try db.tableExists("artifact_store") {
                try db.execute(sql: "DELETE FROM artifact_store")
            }
            let columns = try db.columns(in: "artifact_grant").map(\.name)
            if columns.contains("granted") {
                try db.execute(
                    // What nobody brought, but a job made, goes with the job.
                    sql: "UPDATE artifact_grant SET granted = ? WHERE granted > 0",
                    arguments: [Int64(Date.now.timeIntervalSince1970 * 1000)]
                )
            }
        }
        try database.close()
        try BackupFiles.synchronize(path)
    }
}
