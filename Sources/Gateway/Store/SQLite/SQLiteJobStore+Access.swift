internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol

extension SQLiteJobStore {
    /// Whether an owner has so many jobs waiting; it looks at no more of them.
    static func hasWaiting(_ limit: Int, of owner: String, _ db: Database) throws -> Bool {
        try JobRecord
            .filter(JobRecord.CodingKeys.tenant == owner)
            .filter(JobState.waiting.map(\.rawValue).contains(JobRecord.CodingKeys.state))
            .limit(limit)
            .fetchCount(db) >= limit
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

    func grant(_ digest: SHA256Digest, size: UInt64, to holder: String) async throws {
        try await pool.write { db in
            try Self.insertGrant((holder, digest, size), db)
        }
    }

    static func insertGrant(
        _ grant: (holder: String, digest: SHA256Digest, size: UInt64),
        _ db: Database
    ) throws {
        try GrantRecord(
            holder: grant.holder,
            digest: Data(grant.digest.bytes),
            size: Int64(clamping: grant.size)
        ).insert(db)
    }

    func granted(
        _ digests: Set<SHA256Digest>,
        to holder: String
    ) async throws -> Set<SHA256Digest> {
        try await Self.known(among: digests) { [pool] wanted in
            try await pool.read { db in
                try Data.fetchAll(
                    db,
                    GrantRecord
                        .filter(GrantRecord.CodingKeys.holder == holder)
                        .filter(wanted.contains(GrantRecord.CodingKeys.digest))
                        .select(GrantRecord.CodingKeys.digest)
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
                let inputs = try Data.fetchAll(
                    db,
                    InputFileRecord
                        .filter(jobs.contains(InputFileRecord.CodingKeys.job))
                        .filter(wanted.contains(InputFileRecord.CodingKeys.digest))
                        .select(InputFileRecord.CodingKeys.digest)
                )
                let checkpoints = try Data.fetchAll(
                    db,
                    CheckpointRecord
                        .filter(jobs.contains(CheckpointRecord.CodingKeys.job))
                        .filter(wanted.contains(CheckpointRecord.CodingKeys.digest))
                        .select(CheckpointRecord.CodingKeys.digest)
                )
                return inputs + checkpoints
            }
        }
    }

    func unreferenced(_ digests: Set<SHA256Digest>) async throws -> Set<SHA256Digest> {
        let referenced = try await Self.known(among: digests) { [pool] wanted in
            try await pool.read { db in
                let inputs = try Data.fetchAll(
                    db,
                    InputFileRecord.filter(wanted.contains(InputFileRecord.CodingKeys.digest))
                        .select(InputFileRecord.CodingKeys.digest)
                )
                let outputs = try Data.fetchAll(
                    db,
                    OutputRecord.filter(wanted.contains(OutputRecord.CodingKeys.digest))
                        .select(OutputRecord.CodingKeys.digest)
                )
                let checkpoints = try Data.fetchAll(
                    db,
                    CheckpointRecord.filter(wanted.contains(CheckpointRecord.CodingKeys.digest))
                        .select(CheckpointRecord.CodingKeys.digest)
                )
                // What a user has brought may become a job's input at any moment.
                let brought = try Data.fetchAll(
                    db,
                    GrantRecord.filter(wanted.contains(GrantRecord.CodingKeys.digest))
                        .filter(GrantRecord.CodingKeys.holder.like("user/%"))
                        .select(GrantRecord.CodingKeys.digest)
                )
                return inputs + outputs + checkpoints + brought
            }
        }
        return digests.subtracting(referenced)
    }

    /// Asks for digests in portions: SQLite takes a limited number of values in one statement.
    private static func known(
        among digests: Set<SHA256Digest>,
        _ fetch: ([Data]) async throws -> [Data]
    ) async throws -> Set<SHA256Digest> {
        let all = digests.map { Data($0.bytes) }
        var found: Set<SHA256Digest> = []
        for start in stride(from: 0, to: all.count, by: 500) {
            for data in try await fetch(Array(all[start..<min(start + 500, all.count)])) {
                found.insert(try SHA256Digest(stored: data))
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
