internal import Foundation
internal import GRDB
internal import JobSpecs
internal import Protocol

extension JobStore {
    /// A registered worker.
    struct Worker: Sendable {
        let instance: String
        let role: String
        let boot: String
        let address: String
        let kinds: [String]
        let cores: Int64
        let seen: Int64
    }

    /// A worker that was not heard of for this long is not counted on.
    private static let silenceLimit: Int64 = 60_000

    func workers(_ db: Database) throws -> [Worker] {
        try Row.fetchAll(db, sql: "SELECT * FROM worker ORDER BY role, instance").map { row in
            Worker(
                instance: row["instance"],
                role: row["role"],
                boot: row["boot"],
                address: row["address"],
                kinds: (row["kinds"] as String).split(separator: ",").map(String.init),
                cores: row["cores"],
                seen: row["seen"]
            )
        }
    }

    /// Makes a worker known.
    ///
    /// Another boot of the same instance has lost its leases.
    func register(_ request: RegisterWorkerRequest) async throws {
        let lost = try await pool.write { [self] db -> [String] in
            try db.execute(
                sql: """
                    INSERT OR REPLACE INTO worker
                        (instance, role, boot, address, kinds, cores, memory, version, seen)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    request.instance, request.role, request.bootID, request.address,
                    request.kinds.joined(separator: ","), Int64(request.cores),
                    Int64(clamping: request.memoryBytes), request.version, now,
                ]
            )
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM job WHERE worker = ? AND worker_boot <> ?
                    AND state IN ('STARTING', 'RUNNING', 'CANCELLING')
                    """,
                arguments: [request.instance, request.bootID]
            )
            return try rows.map { row in
                let job = try JobRow(row)
                try recover(db, job, "worker \(request.instance) was restarted")
                return job.id
            }
        }
        for id in lost {
            hub.signal(id)
        }
        hub.signal(Self.queueTopic)
    }

    /// Services as status shows them, with how many jobs each runs.
    func services() async throws -> [ServiceInfo] {
        try await pool.read { [self] db in
            try workers(db).map { worker in
                let running = try Int.fetchOne(
                    db,
                    sql: """
                        SELECT count(*) FROM job WHERE worker = ?
                        AND state IN ('STARTING', 'RUNNING', 'CANCELLING')
                        """,
                    arguments: [worker.instance]
                )
                let isSilent = now - worker.seen > Self.silenceLimit
                return ServiceInfo(
                    role: worker.role,
                    instance: worker.instance,
                    address: worker.address,
                    state: isSilent ? "lost" : (running ?? 0) > 0 ? "busy" : "ready",
                    running: UInt32(running ?? 0),
                    lastSeenUnixMs: worker.seen
                )
            }
        }
    }

    /// Notes that a worker lives.
    func touch(_ instance: String, boot: String) async throws -> Bool {
        try await pool.write { [self] db in
            try db.execute(
                sql: "UPDATE worker SET seen = ? WHERE instance = ? AND boot = ?",
                arguments: [now, instance, boot]
            )
            return db.changesCount == 1
        }
    }

    /// Why a job waits, in a sentence; empty if it does not.
    func waitReason(_ db: Database, _ job: JobRow, workers: [Worker]) throws -> String {
        switch job.state {
        case .blocked:
            let sources = try String.fetchAll(
                db,
                sql: "SELECT source FROM input WHERE job = ? AND source LIKE 'job:%'",
                arguments: [job.id]
            )
            return "waits for the outputs of \(sources.joined(separator: ", "))"
        case .queued:
            if let reason = job.resources.waitReason {
                return reason
            }
            let able = workers.filter { $0.kinds.contains(job.kind) }
            let alive = able.filter { now - $0.seen <= Self.silenceLimit }
            if able.isEmpty {
                return "no worker for \(job.kind) jobs is registered"
            }
            if alive.isEmpty {
                let names = able.map(\.instance).joined(separator: ", ")
                return "no worker for \(job.kind) jobs answers; known: \(names)"
            }
            return "waits for \(alive.map(\.instance).joined(separator: ", ")) to become free"
        default:
            return ""
        }
    }
}
