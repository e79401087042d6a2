internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol

/// What refers to artifacts.
extension SQLiteJobStore {
    /// SQLite takes a limited number of values in one statement.
    private static let portion = 500

    /// What tells the store of this database's artifacts from others; nil until one was seen.
    func artifactStore() async throws -> String? {
        try await pool.read { db in try String.fetchOne(db, sql: "SELECT id FROM artifact_store") }
    }

    /// Makes a store this database's.
    func setArtifactStore(_ id: String) async throws {
        guard try await artifactStore() != id else { return }
        try await pool.write { db in
            try db.execute(sql: "DELETE FROM artifact_store")
            try db.execute(sql: "INSERT INTO artifact_store (id) VALUES (?)", arguments: [id])
        }
    }

    func renew(_ digests: Set<SHA256Digest>, of holder: String, at time: Int64) async throws
        -> Set<SHA256Digest>
    {
        try await Self.known(among: digests) { [pool] wanted in
            let own = GrantRecord.filter(wanted.contains(GrantRecord.CodingKeys.digest))
                .filter(GrantRecord.CodingKeys.holder == holder)
            let known = try await pool.read { db in try own.fetchAll(db) }
            // Written only where it says something new: most openings are young.
            guard known.contains(where: { $0.granted < time - 3_600_000 }) else {
                return known.map(\.digest)
            }
            return try await pool.write { db in
                try own.filter(GrantRecord.CodingKeys.granted < time)
                    .updateAll(db, GrantRecord.CodingKeys.granted.set(to: time))
                return try Data.fetchAll(db, own.select(GrantRecord.CodingKeys.digest))
            }
        }
    }

    func release(_ digests: Set<SHA256Digest>, _ expiry: GrantExpiry) async throws
        -> Set<SHA256Digest>
    {
        // Most are in use; only the others are worth a transaction.
        let idle =
            expiry.includesUsed
            ? digests
            : try await Self.known(among: digests) { [pool] wanted in
                try await pool.read { db in try Self.unused(among: wanted, db) }
            }
        return try await Self.known(among: idle) { [pool] wanted in
            try await pool.write { db in
                let free = try Self.unused(among: wanted, db)
                let closing = expiry.includesUsed ? wanted : free
                try Self.expiring(expiry)
                    .filter(closing.contains(GrantRecord.CodingKeys.digest))
                    .deleteAll(db)
                return try Self.withoutGrants(free, GrantRecord.all(), db)
            }
        }
    }

    func releasable(_ digests: Set<SHA256Digest>, _ expiry: GrantExpiry) async throws
        -> Set<SHA256Digest>
    {
        try await Self.known(among: digests) { [pool] wanted in
            try await pool.read { db in
                let free = try Self.unused(among: wanted, db)
                let gone = try Self.expiring(expiry)
                    .filter(free.contains(GrantRecord.CodingKeys.digest))
                    .fetchAll(db)
                let all = try GrantRecord.filter(free.contains(GrantRecord.CodingKeys.digest))
                    .fetchAll(db)
                let counts = gone.reduce(into: [Data: Int]()) { $0[$1.digest, default: 0] += 1 }
                let held = all.reduce(into: [Data: Int]()) { $0[$1.digest, default: 0] += 1 }
                return free.filter { counts[$0, default: 0] == held[$0, default: 0] }
            }
        }
    }

    /// Those of some digests that no job refers to.
    private static func unused(among wanted: [Data], _ db: Database) throws -> [Data] {
        let used = Set(
            try digests(InputFileRecord.all(), among: wanted, db)
                + digests(OutputRecord.all(), among: wanted, db)
                + digests(CheckpointRecord.all(), among: wanted, db)
        )
        return wanted.filter { !used.contains($0) }
    }

    private static func withoutGrants(
        _ wanted: [Data],
        _ rows: QueryInterfaceRequest<GrantRecord>,
        _ db: Database
    ) throws -> [Data] {
        let open = Set(try digests(rows, among: wanted, db))
        return wanted.filter { !open.contains($0) }
    }

    /// The openings that an expiry ends.
    private static func expiring(_ expiry: GrantExpiry) -> QueryInterfaceRequest<GrantRecord> {
        var rows = GrantRecord.filter(GrantRecord.CodingKeys.granted < expiry.before)
        if let holder = expiry.holder {
            rows = rows.filter(GrantRecord.CodingKeys.holder == holder)
        }
        return rows
    }

    static func close(_ closing: JobBatch.Closing, _ db: Database) throws {
        let all = closing.digests.map { Data($0.bytes) }
        for start in stride(from: 0, to: all.count, by: portion) {
            let wanted = Array(all[start..<min(start + portion, all.count)])
            try GrantRecord
                .filter(GrantRecord.CodingKeys.holder == closing.holder)
                .filter(wanted.contains(GrantRecord.CodingKeys.digest))
                .deleteAll(db)
        }
    }

    func grants(_ expiry: GrantExpiry, after digest: SHA256Digest?, limit: Int) async throws
        -> [ArtifactGrant]
    {
        try await pool.read { db in
            try Self.expiring(expiry)
                .filter(GrantRecord.CodingKeys.digest > Data(digest?.bytes ?? []))
                // Others are damaged rows, which open nothing.
                .filter(length(GrantRecord.CodingKeys.digest) == 32)
                .order(GrantRecord.CodingKeys.digest)
                .limit(limit)
                .fetchAll(db)
                .compactMap { record in
                    SHA256Digest(bytes: [UInt8](record.digest)).map {
                        ArtifactGrant(
                            holder: record.holder,
                            digest: $0,
                            size: UInt64(clamping: record.size)
                        )
                    }
                }
        }
    }

    // A union of all the places where jobs name artifacts.
    private static let naming = """
        SELECT job, digest FROM input_file UNION ALL SELECT job, digest FROM output
        UNION ALL SELECT job, digest FROM checkpoint_file
        """

    func references(to digest: SHA256Digest, limit: Int) async throws
        -> (jobs: [ArtifactReference], count: Int)
    {
        try await pool.read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT DISTINCT job.number, job.id, job.tenant, job.state FROM job
                    JOIN (\(Self.naming)) named ON named.job = job.id
                    WHERE named.digest = ? ORDER BY job.number
                    """,
                arguments: [Data(digest.bytes)]
            )
            let jobs = rows.prefix(limit).map { row in
                ArtifactReference(
                    job: row["id"],
                    owner: row["tenant"],
                    state: JobState(rawValue: row["state"]) ?? .failed
                )
            }
            return (jobs, rows.count)
        }
    }

    func referenced(after digest: SHA256Digest?, limit: Int) async throws -> [SHA256Digest] {
        try await pool.read { db in
            // Each table by its own index, and no more of it than can be in the answer.
            let parts = ["input_file", "output", "checkpoint_file"].map { table in
                """
                SELECT digest FROM (SELECT DISTINCT digest FROM \(table) WHERE digest > :last
                    AND length(digest) = 32 ORDER BY digest LIMIT :limit)
                """
            }
            return try Data.fetchAll(
                db,
                sql: parts.joined(separator: " UNION ") + " ORDER BY digest LIMIT :limit",
                arguments: ["last": Data(digest?.bytes ?? []), "limit": limit]
            ).compactMap { SHA256Digest(bytes: [UInt8]($0)) }
        }
    }

    func damagedDigests(limit: Int) async throws -> [DamagedDigest] {
        try await pool.read { db in try DamagedDigest.all(db, limit: limit) }
    }

    /// Whether all artifacts that a new job refers to are there still, and open to its owner.
    static func hasAll(_ needs: JobBatch.Needs, _ db: Database) throws -> Bool {
        let all = needs.digests.map { Data($0.bytes) }
        for start in stride(from: 0, to: all.count, by: portion) {
            let wanted = Array(all[start..<min(start + portion, all.count)])
            if let holder = needs.holder {
                let open = try digests(
                    GrantRecord.filter(GrantRecord.CodingKeys.holder == holder),
                    among: wanted,
                    db
                )
                guard Set(open).count == wanted.count else { return false }
            } else {
                let unused = try unused(among: wanted, db)
                guard try withoutGrants(unused, GrantRecord.all(), db).isEmpty else { return false }
            }
        }
        return true
    }
}
