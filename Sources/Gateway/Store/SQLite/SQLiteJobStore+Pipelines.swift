internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol

extension SQLiteJobStore {
    func predecessors(of id: String) async throws -> [String] {
        try await pool.read { db in
            try String.fetchAll(
                db,
                PredecessorRecord
                    .filter(PredecessorRecord.CodingKeys.job == id)
                    .order(PredecessorRecord.CodingKeys.source)
                    .select(PredecessorRecord.CodingKeys.source)
            )
        }
    }

    func waits(of ids: Set<String>) async throws -> [String: StoredWait] {
        try await pool.read { db in
            var waits: [String: StoredWait] = [:]
            let all = ids.sorted()
            // SQLite takes a limited number of values in one statement.
            for start in stride(from: 0, to: all.count, by: 500) {
                let asked = all[start..<min(start + 500, all.count)]
                let marks = databaseQuestionMarks(count: asked.count)
                let rows = try Self.waitStatements(marks).map { sql in
                    try Row.fetchAll(db, sql: sql, arguments: StatementArguments(asked))
                }
                for id in asked { waits[id] = StoredWait() }
                for row in rows[0] { waits[row["job"]]?.sources.append(row["source"]) }
                for row in rows[1] {
                    let source: String = row["source"]
                    waits[row["job"]]?.after.append(source)
                    let isDone: Bool = row["done"]
                    if !isDone { waits[row["job"]]?.unfinished.insert(source) }
                }
                for row in rows[2] {
                    let job: String = row["job"]
                    waits[job]?.fault = DamagedDigest.sentence(
                        "input",
                        row["path"],
                        job,
                        byteCount: row["count"]
                    )
                }
            }
            return waits
        }
    }

    /// Statements for what some jobs wait for: outputs of jobs that have not succeeded; jobs after which they start;
    /// inputs whose digests are none.
    private static func waitStatements(_ marks: String) -> [String] {
        func hasSucceeded(_ column: String) -> String {
            "EXISTS (SELECT 1 FROM job WHERE job.id = \(column) AND job.state = 'SUCCEEDED')"
        }
        return [
            "SELECT job, source FROM input WHERE job IN (\(marks)) AND source_job IS NOT NULL "
                + "AND NOT \(hasSucceeded("input.source_job")) ORDER BY job, position",
            "SELECT job, source, \(hasSucceeded("predecessor.source")) done "
                + "FROM predecessor WHERE job IN (\(marks)) ORDER BY job, source",
            "SELECT job, path, length(digest) count FROM input_file WHERE job IN (\(marks)) "
                + "AND length(digest) <> 32 ORDER BY job DESC, position DESC, path DESC",
        ]
    }

    func dependents(
        of id: String,
        in states: [JobState],
        after number: Int64,
        limit: Int
    ) async throws -> StoredJobs {
        try await pool.read { db in
            try Self.page(
                db,
                Self.dependents(of: id, in: states)
                    .filter(JobRecord.CodingKeys.number > number)
                    .order(JobRecord.CodingKeys.number),
                limit: limit
            )
        }
    }

    /// Jobs in some states that need an output of a job, or start after it.
    static func dependents(
        of id: String,
        in states: [JobState]
    ) -> QueryInterfaceRequest<JobRecord> {
        JobRecord
            .filter(
                sql: """
                    id IN (SELECT job FROM input WHERE source_job = ?
                        UNION SELECT job FROM predecessor WHERE source = ?)
                    """,
                arguments: [id, id]
            )
            .filter(states.map(\.rawValue).contains(JobRecord.CodingKeys.state))
    }

    func pipeline(owner: String, key: String) async throws -> (id: String, digest: [UInt8])? {
        try await pool.read { db in
            let record =
                try PipelineRecord
                .filter(PipelineRecord.CodingKeys.tenant == owner)
                .filter(PipelineRecord.CodingKeys.key == key)
                .fetchOne(db)
            return record.map { ($0.id, [UInt8]($0.digest)) }
        }
    }

    func pipelines(_ ids: Set<String>) async throws -> [StoredPipeline] {
        guard !ids.isEmpty else { return [] }
        return try await pool.read { db in
            var found: [String: StoredPipeline] = [:]
            for record in try PipelineRecord.filter(ids.contains(PipelineRecord.CodingKeys.id))
                .fetchAll(db)
            {
                found[record.id] = record.stored
            }
            let rows = try Row.fetchAll(
                db,
                JobRecord
                    .filter(ids.contains(JobRecord.CodingKeys.pipeline))
                    .select(
                        JobRecord.CodingKeys.pipeline,
                        JobRecord.CodingKeys.state,
                        count(JobRecord.CodingKeys.id).forKey("jobs"),
                        max(JobRecord.CodingKeys.finished).forKey("finished")
                    )
                    .group(JobRecord.CodingKeys.pipeline, JobRecord.CodingKeys.state)
            )
            for row in rows {
                // A state that is none of ours counts as what lists show for it.
                let state = JobState(rawValue: row["state"]) ?? .failed
                let id: String = row["pipeline"]
                found[id]?.counts[state, default: 0] += row["jobs"]
                let times = [found[id]?.finished, row["finished"] as Int64?].compactMap(\.self)
                found[id]?.finished = times.max()
            }
            return found.values.sorted { $0.id < $1.id }
        }
    }

    func parts(of pipeline: String) async throws -> StoredJobs {
        try await pool.read { db in
            try Self.page(
                db,
                JobRecord
                    .filter(JobRecord.CodingKeys.pipeline == pipeline)
                    .order(JobRecord.CodingKeys.number)
            )
        }
    }

    func succeeded(
        content: SHA256Digest,
        owner: String?,
        limit: Int
    ) async throws -> [StoredJob] {
        try await pool.read { db in
            var request =
                JobRecord
                .filter(JobRecord.CodingKeys.content == Data(content.bytes))
                .filter(JobRecord.CodingKeys.state == JobState.succeeded.rawValue)
                .order(JobRecord.CodingKeys.number.desc)
                .limit(limit)
            if let owner {
                request = request.filter(JobRecord.CodingKeys.tenant == owner)
            }
            return try Row.fetchAll(db, request).compactMap { try? Self.stored($0) }
        }
    }

    /// Stores pipelines.
    ///
    /// - Returns: Whether none of their keys and ids was taken.
    static func insert(_ pipelines: [JobBatch.Pipeline], _ db: Database) throws -> Bool {
        for pipeline in pipelines {
            try PipelineRecord(pipeline).insert(db, onConflict: .ignore)
            guard db.changesCount == 1 else { return false }
        }
        return true
    }
}

/// A row of the pipelines.
struct PipelineRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "pipeline"

    enum CodingKeys: String, CodingKey, ColumnExpression {
        case id, tenant, key, digest, name, created
    }

    var id: String
    var tenant: String
    var key: String
    var digest: Data
    var name: String
    var created: Int64

    init(_ pipeline: JobBatch.Pipeline) {
        id = pipeline.id
        tenant = pipeline.owner
        key = pipeline.key
        digest = Data(pipeline.digest.bytes)
        name = pipeline.name
        created = pipeline.created
    }

    var stored: StoredPipeline {
        StoredPipeline(id: id, owner: tenant, name: name, created: created)
    }
}

/// A row of the jobs that a job starts after.
struct PredecessorRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "predecessor"

    enum CodingKeys: String, CodingKey, ColumnExpression {
        case job, source
    }

    var job: String
    var source: String
}

/// The part of the schema that this is of.
enum PipelineSchema {
    /// Adds it to an older schema; what jobs had no word for is what they do without one.
    static let migration = """
        CREATE TABLE pipeline (
            id TEXT PRIMARY KEY,
            tenant TEXT NOT NULL,
            key TEXT NOT NULL,
            digest BLOB NOT NULL,
            name TEXT NOT NULL,
            created INTEGER NOT NULL,
            UNIQUE (tenant, key)
        ) STRICT;
        CREATE TABLE predecessor (
            job TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
            source TEXT NOT NULL,
            PRIMARY KEY (job, source)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX predecessor_by_source ON predecessor (source);
        ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE job ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
        UPDATE job SET rank = created;
        ALTER TABLE job ADD COLUMN deadline INTEGER;
        ALTER TABLE job ADD COLUMN overdue INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE job ADD COLUMN reused_from TEXT;
        ALTER TABLE job ADD COLUMN pipeline TEXT;
        ALTER TABLE job ADD COLUMN part TEXT NOT NULL DEFAULT '';
        ALTER TABLE job ADD COLUMN content BLOB;
        DROP INDEX job_in_queue;
        CREATE INDEX job_in_queue ON job (kind, rank, number, accelerator, devices, nodes)
            WHERE state = 'QUEUED';
        CREATE INDEX job_by_pipeline ON job (pipeline, number) WHERE pipeline IS NOT NULL;
        CREATE INDEX job_by_content ON job (content, number) WHERE content IS NOT NULL;
        """
}
