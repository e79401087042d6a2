internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol

extension SQLiteJobStore {
    /// Whether an owner has as many jobs as a ceiling says; it looks at no more of them, and at none in other
    /// states: it is asked within the transaction that everybody waits for.
    static func isReached(_ ceiling: JobBatch.Ceiling, _ db: Database) throws -> Bool {
        // State by state: of several at once SQLite believes that another index is better.
        let statement = try db.cachedStatement(
            sql: """
                SELECT COUNT(*) FROM (
                    SELECT 1 FROM job INDEXED BY job_by_owner_state
                    WHERE tenant = ? AND state = ? LIMIT ?)
                """
        )
        var left = ceiling.limit
        for state in ceiling.states where left > 0 {
            left -=
                try Int.fetchOne(statement, arguments: [ceiling.owner, state.rawValue, left]) ?? 0
        }
        return left <= 0
    }

    func stateCounts() async throws -> [JobState: StateCount] {
        try await pool.read { db in
            let rows = try Row.fetchAll(
                db,
                sql:
                    "SELECT state, COUNT(*) AS count, MIN(created) AS oldest FROM job GROUP BY state"
            )
            return rows.reduce(into: [:]) { counts, row in
                guard let text = row["state"] as String?, let state = JobState(rawValue: text)
                else {
                    return
                }
                counts[state] = StateCount(count: row["count"], oldest: row["oldest"])
            }
        }
    }

    func runningCounts() async throws -> [String: Int] {
        try await pool.read { db in
            let owners = try String.fetchAll(
                db,
                JobRecord
                    .filter(JobState.leased.map(\.rawValue).contains(JobRecord.CodingKeys.state))
                    .select(JobRecord.CodingKeys.tenant)
            )
            return owners.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        }
    }

    func leases(of worker: WorkerIdentity) async throws -> [String] {
        try await pool.read { db in
            try String.fetchAll(
                db,
                JobRecord
                    .filter(JobState.leased.map(\.rawValue).contains(JobRecord.CodingKeys.state))
                    .filter(JobRecord.CodingKeys.worker == worker.instance)
                    .filter(JobRecord.CodingKeys.workerRole == worker.role.rawValue)
                    .select(JobRecord.CodingKeys.id)
            )
        }
    }

    func grant(_ openings: [JobBatch.Opening]) async throws {
        try await pool.write { db in
            for opening in openings { try GrantRecord.open(opening, db) }
        }
    }

    func granted(
        _ digests: Set<SHA256Digest>,
        to holder: String
    ) async throws -> Set<SHA256Digest> {
        try await Self.known(among: digests) { [pool] wanted in
            try await pool.read { db in
                try Self.digests(
                    GrantRecord.filter(GrantRecord.CodingKeys.holder == holder),
                    among: wanted,
                    db
                )
            }
        }
    }

    func inputs(
        among digests: Set<SHA256Digest>,
        of jobs: [String]
    ) async throws -> Set<SHA256Digest> {
        guard !jobs.isEmpty else { return [] }
        return try await Self.known(among: digests) { [pool] wanted in
            try await pool.read { db in
                try Self.digests(
                    InputFileRecord.filter(jobs.contains(Column("job"))),
                    among: wanted,
                    db
                )
                    + Self.digests(
                        CheckpointRecord.filter(jobs.contains(Column("job"))),
                        among: wanted,
                        db
                    )
            }
        }
    }

    /// Those of some digests that rows hold; every table has them in a column of one name.
    static func digests<Record>(
        _ rows: QueryInterfaceRequest<Record>,
        among wanted: [Data],
        _ db: Database
    ) throws -> [Data] {
        try Data.fetchAll(
            db,
            rows.filter(wanted.contains(Column("digest"))).select(Column("digest"))
        )
    }

    /// Asks for digests in portions: SQLite takes a limited number of values in one statement.
    static func known(
        among digests: Set<SHA256Digest>,
        _ fetch: ([Data]) async throws -> [Data]
    ) async throws -> Set<SHA256Digest> {
        let all = digests.map { Data($0.bytes) }
        var found: Set<SHA256Digest> = []
        for start in stride(from: 0, to: all.count, by: 500) {
            for data in try await fetch(Array(all[start..<min(start + 500, all.count)])) {
                if let digest = SHA256Digest(bytes: [UInt8](data)) { found.insert(digest) }
            }
        }
        return found
    }

    func byteCount(of holder: String) async throws -> Int64 {
        try await pool.read { db in
            try Int64.fetchOne(
                db,
                GrantRecord
                    .filter(GrantRecord.CodingKeys.holder == holder)
                    .select(sum(GrantRecord.CodingKeys.size))
            ) ?? 0
        }
    }
}
