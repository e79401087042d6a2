internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol

/// Jobs that are over.
extension SQLiteJobStore {
    func ended(
        _ which: EndedJobs,
        by time: Int64,
        after place: EndedPlace?,
        limit: Int
    ) async throws -> EndedPage {
        try await pool.read { db in
            var request =
                JobRecord
                .filter(JobRecord.CodingKeys.finished <= time)
                .order(JobRecord.CodingKeys.finished, JobRecord.CodingKeys.number)
                .limit(limit)
            if let place {
                request = request.filter(
                    JobRecord.CodingKeys.finished > place.finished
                        || JobRecord.CodingKeys.finished == place.finished
                            && JobRecord.CodingKeys.number > place.number
                )
            }
            switch which {
            case .all: break
            case .untrimmed:
                request = request.filter(Column("trimmed") < JobRecord.CodingKeys.finished)
            case .withCheckpoint:
                request = request.filter(JobRecord.CodingKeys.checkpointStep > 0)
            }
            let rows = try Row.fetchAll(db, request)
            var page = EndedPage(jobs: rows.compactMap { try? Self.stored($0) })
            if rows.count == limit, let last = rows.last {
                page.next = EndedPlace(finished: last["finished"], number: last["number"])
            }
            return page
        }
    }

    func endedCounts() async throws -> [String: Int64] {
        try await pool.read { db in
            try Self.sums(
                db,
                "SELECT tenant, COUNT(*) FROM job WHERE finished IS NOT NULL GROUP BY tenant"
            )
        }
    }

    func digests(
        freedBy jobs: [String],
        _ expiry: GrantExpiry
    ) async throws -> Set<SHA256Digest> {
        // Ids are the gateway's own, and are looked at all the same.
        let ids = jobs.filter(JobID.isWhole).map { "'\($0)'" }.joined(separator: ", ")
        let tables = ["input_file", "output", "checkpoint_file"]
        let files = tables.map { "SELECT digest FROM \($0) WHERE job IN (\(ids))" }
        let others = tables.map {
            """
            AND NOT EXISTS (SELECT 1 FROM \($0)
                WHERE \($0).digest = file.digest AND \($0).job NOT IN (\(ids)))
            """
        }
        return try await pool.read { db in
            let found = try Data.fetchAll(
                db,
                sql: """
                    SELECT digest FROM (\(files.joined(separator: " UNION "))) AS file
                    WHERE NOT EXISTS (SELECT 1 FROM artifact_grant
                        WHERE artifact_grant.digest = file.digest AND granted >= ?)
                    \(others.joined(separator: " "))
                    """,
                arguments: [expiry.before]
            )
            return Set(found.compactMap { SHA256Digest(bytes: Array($0)) })
        }
    }

    func heldBytes() async throws -> [String: Int64] {
        try await pool.read { db in
            try Self.sums(
                db,
                """
                SELECT holder, SUM(size) FROM (
                    SELECT holder, digest, size FROM artifact_grant
                    UNION SELECT '\(Grant.holder(user: ""))' || job.tenant, checkpoint_file.digest, checkpoint_file.size
                    FROM checkpoint_file JOIN job ON job.id = checkpoint_file.job)
                GROUP BY holder
                """
            )
        }
    }

    private static func sums(_ db: Database, _ sql: String) throws -> [String: Int64] {
        let rows = try Row.fetchAll(db, sql: sql)
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0] as String, $0[1] as Int64) })
    }

    func removed(owner: String, key: String) async throws -> String? {
        try await pool.read { db in
            try String.fetchOne(
                db,
                sql: "SELECT id FROM removed_job WHERE tenant = ? AND key = ?",
                arguments: [owner, key]
            )
        }
    }

    static func isRemoved(_ owner: String, _ key: String, _ db: Database) throws -> Bool {
        try Bool.fetchOne(
            db,
            sql: "SELECT EXISTS (SELECT 1 FROM removed_job WHERE tenant = ? AND key = ?)",
            arguments: [owner, key]
        ) ?? false
    }

    func forgetKeys(before time: Int64, limit: Int) async throws -> Int {
        try await pool.write { db in
            try db.execute(
                sql: """
                    DELETE FROM removed_job WHERE (tenant, key) IN
                        (SELECT tenant, key FROM removed_job WHERE removed < ? LIMIT ?)
                    """,
                arguments: [time, limit]
            )
            let count = db.changesCount
            try db.execute(
                sql: """
                    DELETE FROM pipeline WHERE id IN
                        (SELECT id FROM pipeline WHERE created < ? AND NOT EXISTS
                            (SELECT 1 FROM job WHERE job.pipeline = pipeline.id) LIMIT ?)
                    """,
                arguments: [time, limit]
            )
            return count + db.changesCount
        }
    }

    static func apply(_ trim: JobBatch.Trim, _ db: Database) throws {
        if !trim.seqs.isEmpty {
            try EventRecord
                .filter(EventRecord.CodingKeys.job == trim.id)
                .filter(trim.seqs.map { Int64(clamping: $0) }.contains(EventRecord.CodingKeys.seq))
                .deleteAll(db)
        }
        if let finished = trim.finished {
            try db.execute(
                sql: "UPDATE job SET trimmed = ? WHERE id = ?",
                arguments: [finished, trim.id]
            )
        }
    }

    /// Removes a job, or says that it is not as it must be.
    static func remove(_ removal: JobBatch.Removal, _ db: Database) throws -> Bool {
        let row = try Row.fetchOne(
            db,
            sql: "SELECT tenant, key FROM job WHERE id = ? AND version = ?",
            arguments: [removal.id, removal.version]
        )
        guard let row, try dependents(of: removal.id, in: removal.unlessNeededIn).isEmpty(db) else {
            return false
        }
        let owner: String = row["tenant"]
        try db.execute(
            sql:
                "INSERT OR REPLACE INTO removed_job (tenant, key, id, removed) VALUES (?, ?, ?, ?)",
            arguments: [owner, row["key"] as String, removal.id, removal.time]
        )
        let outputs = try Data.fetchAll(
            db,
            sql: "SELECT DISTINCT digest FROM output WHERE job = ?",
            arguments: [removal.id]
        )
        for table in ["event", "input_file", "input", "output", "checkpoint_file"] {
            try db.execute(sql: "DELETE FROM \(table) WHERE job = ?", arguments: [removal.id])
        }
        try db.execute(sql: "DELETE FROM job WHERE id = ?", arguments: [removal.id])
        for digest in outputs { try close(digest, of: owner, db) }
        return true
    }

    /// Closes to a user what a job of theirs made, unless another one of theirs has it, or they brought
    /// it themselves: before, meanwhile or since.
    private static func close(_ digest: Data, of owner: String, _ db: Database) throws {
        try db.execute(
            sql: """
                DELETE FROM artifact_grant
                WHERE holder = :holder AND digest = :digest AND granted = 0
                AND NOT EXISTS (SELECT 1 FROM output JOIN job ON job.id = output.job
                    WHERE output.digest = :digest AND job.tenant = :owner)
                AND NOT EXISTS (SELECT 1 FROM input_file JOIN job ON job.id = input_file.job
                    WHERE input_file.digest = :digest AND job.tenant = :owner)
                """,
            arguments: ["holder": Grant.holder(user: owner), "digest": digest, "owner": owner]
        )
    }
}
