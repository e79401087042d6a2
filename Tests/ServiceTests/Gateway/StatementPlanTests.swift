internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import Gateway

/// What the gateway asks of its database while others wait takes no longer the more jobs it keeps.
struct StatementPlanTests {
    /// Statements as they are before values are put in.
    private final class Statements: Sendable {
        private let all = Mutex<Set<String>>([])

        var list: [String] { all.withLock { $0.sorted() } }

        func note(_ sql: String) {
            let verbs = ["SELECT", "UPDATE", "DELETE"]
            guard verbs.contains(where: sql.hasPrefix) else { return }
            all.withLock { _ = $0.insert(sql) }
        }
    }

    /// An engine on a database whose statements are noted.
    private struct Noted {
        let fixture: StoreFixture
        let engine: JobEngine
        private let pool: DatabasePool
        private let statements = Statements()

        init(_ policy: AccessPolicy) throws {
            fixture = try StoreFixture(policy: policy)
            var configuration = Configuration()
            configuration.prepareDatabase { [statements] db in
                db.trace { event in
                    if case .statement(let statement) = event { statements.note(statement.sql) }
                }
            }
            pool = try DatabasePool(
                path: fixture.folder + "/gateway.sqlite",
                configuration: configuration
            )
            engine = JobEngine(
                store: SQLiteJobStore(pool: pool),
                leaseDuration: .seconds(30),
                policies: PolicyFile(policy),
                clock: { [engine = fixture.engine] in engine.now }
            )
        }

        /// How SQLite goes about all that it was asked, line by line.
        func plans() async throws -> [(statement: String, lines: [String])] {
            let noted = statements.list
            return try await pool.read { db in
                try noted.map { sql in
                    let statement = try db.makeStatement(sql: "EXPLAIN QUERY PLAN " + sql)
                    let values = Array(repeating: nil as Int?, count: sql.count { $0 == "?" })
                    statement.setUncheckedArguments(StatementArguments(values))
                    return (sql, try Row.fetchAll(statement).map { $0["detail"] })
                }
            }
        }
    }

    /// A line that reads a whole table, or all that one user ever had.
    private static func isLong(_ line: String) -> Bool {
        let tables = [
            "job", "event", "input", "input_file", "output", "artifact_grant", "pipeline",
        ]
        return tables.contains { line == "SCAN \($0)" || line.hasPrefix("SCAN \($0) ") }
            || line.contains("(tenant=?)")
    }

    /// Seen: 0.3 to 0.7 s in the one writer for each job submitted or retried, with 100,000 kept: a partial index
    /// that no statement with values can use.
    @Test func whatIsWrittenReadsNoHistory() async throws {
        var policy = AccessPolicy()
        policy.quota.running = 5
        let noted = try Noted(policy)
        let (fixture, engine) = (noted.fixture, noted.engine)
        try await fixture.register(engine: engine)
        let id = try await engine.submit(fixture.submission("k")).id
        let lease = try #require(
            try await engine.acquire(StoreFixture.holder("train-1", boot: "b1"))
        )
        #expect(lease.jobID == id)
        let claim = LeaseClaim(
            epoch: Int64(lease.epoch),
            holder: StoreFixture.holder("train-1", boot: "b1")
        )
        _ = try await engine.heartbeat(id, claim, [JobEvent(type: .log, message: "a line")])
        _ = try await engine.complete(
            CompleteLeaseRequest(jobID: id, epoch: lease.epoch, outcome: .failed, reason: "X"),
            by: claim.holder
        )
        _ = try await engine.retry(id, by: "ada")
        _ = try await engine.cancel(id, now: true, by: "ada")
        let pipeline = try await engine.submit(fixture.pipeline("p")).id
        try await engine.cancelPipeline(pipeline, now: true, by: "ada")
        try await engine.retryPipeline(pipeline, by: "ada")
        let plans = try await noted.plans()
        #expect(plans.contains { $0.statement.contains("job_by_owner_state") })
        for plan in plans {
            #expect(!plan.lines.contains(where: Self.isLong), "\(plan)")
        }
    }
}
