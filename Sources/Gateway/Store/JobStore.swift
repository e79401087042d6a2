internal import Foundation
internal import GRDB
internal import Protocol

/// The gateway's jobs, durable before they are acknowledged.
///
/// Every method is one transaction. Whoever waits for a change subscribes to ``hub``: the topic of a
/// job is its id, that of waiting workers ``queueTopic``.
final class JobStore: Sendable {
    static let queueTopic = "queue"

    let hub = EventHub()
    let leaseDuration: Duration
    let pool: DatabasePool
    private let clock: @Sendable () -> Int64

    /// A store on an open database.
    ///
    /// `leaseDuration`: How long a lease lasts without a heartbeat. `clock`: The time in Unix
    /// milliseconds; tests bring their own.
    init(
        pool: DatabasePool,
        leaseDuration: Duration,
        clock: @escaping @Sendable () -> Int64 = { Int64(Date.now.timeIntervalSince1970 * 1000) }
    ) {
        self.pool = pool
        self.leaseDuration = leaseDuration
        self.clock = clock
    }

    var now: Int64 { clock() }
    var leaseEnd: Int64 { now + Int64(leaseDuration / .milliseconds(1)) }

    // MARK: Reading

    func job(_ db: Database, _ id: String) throws -> JobRow {
        guard let row = try Row.fetchOne(db, sql: "SELECT * FROM job WHERE id = ?", arguments: [id])
        else {
            throw StoreError(.notFound, "no job \(id)")
        }
        return try JobRow(row)
    }

    func detail(_ id: String) async throws -> JobDetail {
        try await pool.read { [self] db in
            let job = try job(db, id)
            let workers = try workers(db)
            return JobDetail(
                summary: try job.summary(waitReason: waitReason(db, job, workers: workers)),
                specJSON: job.spec,
                resultsJSON: job.results,
                outputs: try outputs(db, id),
                lastSeq: UInt64(job.lastSeq)
            )
        }
    }

    /// Jobs from the newest, and where the next page begins.
    func list(pageSize: Int, before: Int64?) async throws -> (jobs: [JobSummary], next: Int64?) {
        try await pool.read { [self] db in
            let rows = try Row.fetchAll(
                db,
                sql: "SELECT * FROM job WHERE number < ? ORDER BY number DESC LIMIT ?",
                arguments: [before ?? .max, pageSize + 1]
            )
            let workers = try workers(db)
            let jobs = try rows.prefix(pageSize).map { row in
                let job = try JobRow(row)
                return try job.summary(waitReason: waitReason(db, job, workers: workers))
            }
            let next = rows.count > pageSize ? rows[pageSize - 1]["number"] as Int64 : nil
            return (jobs, next)
        }
    }

    /// Events after `seq`, in order, and whether the job is over.
    func events(_ id: String, after seq: UInt64, limit: Int) async throws
        -> (events: [JobEvent], isOver: Bool)
    {
        try await pool.read { [self] db in
            let job = try job(db, id)
            let bodies = try Data.fetchAll(
                db,
                sql: "SELECT body FROM event WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?",
                arguments: [id, Int64(clamping: seq), limit]
            )
            let events = try bodies.map { try JobEvent(encoded: [UInt8]($0)) }
            let last = events.last?.seq ?? seq
            return (events, job.state.isTerminal && last >= UInt64(job.lastSeq))
        }
    }

    func outputs(_ db: Database, _ id: String) throws -> [OutputFile] {
        try Row.fetchAll(
            db,
            sql: "SELECT name, digest, size FROM output WHERE job = ? ORDER BY name",
            arguments: [id]
        ).map { row in
            OutputFile(
                name: row["name"],
                digest: try Self.digest(row["digest"]),
                size: UInt64(row["size"] as Int64)
            )
        }
    }

    static func digest(_ data: Data) throws -> SHA256Digest {
        guard let digest = SHA256Digest(bytes: [UInt8](data)) else {
            throw StoreError(.corrupt, "the database holds a digest of \(data.count) bytes")
        }
        return digest
    }

    // MARK: Users' changes

    /// Ends a job that nobody runs, or asks the one who does to stop.
    func cancel(_ id: String, now isNow: Bool, by user: String) async throws {
        try await pool.write { [self] db in
            let job = try job(db, id)
            if job.state.isTerminal {
                return
            }
            let message = "cancelled by \(user)"
            let changes: [(String, any DatabaseValueConvertible)] = [
                ("cancel_requested", isNow ? 2 : 1)
            ]
            let target: JobState = job.state.isLeased ? .cancelling : .cancelled
            let transition = JobTransition(
                to: target,
                reason: .cancelledBy,
                message: message,
                changes: changes
            )
            switch try transition.apply(db, to: job, now: now) {
            case .applied: break
            case .alreadyTarget:
                // Asked again, perhaps more firmly.
                try db.execute(
                    sql: "UPDATE job SET cancel_requested = max(cancel_requested, ?) WHERE id = ?",
                    arguments: [isNow ? 2 : 1, id]
                )
            case .ownerLost, .invalidState:
                throw StoreError(.invalidState, "job \(id) is \(job.state.rawValue)")
            }
        }
        hub.signal(id)
    }

    /// Puts a failed or cancelled job back into the queue under the same id.
    func retry(_ id: String, by user: String) async throws {
        try await pool.write { [self] db in
            let job = try job(db, id)
            guard [.failed, .cancelled].contains(job.state) else {
                throw StoreError(
                    .invalidState,
                    "job \(id) is \(job.state.rawValue); only failed and cancelled jobs are retried"
                )
            }
            let transition = JobTransition(
                to: .blocked,
                message: "retried by \(user)",
                changes: [
                    ("cancel_requested", 0), ("losses", 0), ("losses_at_step", 0), ("failures", 0),
                    ("finished", DatabaseValue.null),
                ]
            )
            _ = try transition.apply(db, to: job, now: now)
            try resolveInputs(db, id)
        }
        hub.signal(id)
        hub.signal(Self.queueTopic)
    }
}
