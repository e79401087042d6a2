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

        private let counted = Mutex(0)

        var list: [String] { all.withLock { $0.sorted() } }
        /// How many there were, the same ones again included.
        var count: Int { counted.withLock { $0 } }

        func note(_ sql: String) {
            let verbs = ["SELECT", "UPDATE", "DELETE"]
            guard verbs.contains(where: sql.hasPrefix) else { return }
            counted.withLock { $0 += 1 }
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

        /// How many statements something takes.
        func count(_ body: () async throws -> Void) async throws -> Int {
            let before = statements.count
            try await body()
            return statements.count - before
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
            CompleteLeaseRequest(
                jobID: id,
                epoch: lease.epoch,
                outcome: .failed,
                reason: "USER_ERROR"
            ),
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

    /// What a list is asked for it gives, over a connection, and page by page.
    @Test func aListHasTheJobsThatAreAskedFor() async throws {
        var policy = AccessPolicy()
        policy.operators = ["olga"]
        try await GatewayFixture.run(policy) { gateway in
            let ada = try gateway.user("ada")
            let olga = try gateway.user("olga")
            var ids: [String] = []
            for key in ["a", "b", "c", "d"] { ids.append(try await gateway.submit(ada, key: key)) }
            let other = try await gateway.submit(olga, key: "o")
            let train = try await gateway.jobs.submit("Über Net")
            for id in ids[1...2] {
                _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id, now: true))
            }
            func list(_ client: RPCClient, _ request: ListJobsRequest) async throws -> [String] {
                var (request, ids) = (request, [String]())
                repeat {
                    let page = try await client.call(QatMethods.listJobs, request)
                    ids += page.jobs.map(\.jobID)
                    request.pageToken = page.nextPageToken
                } while !request.pageToken.isEmpty
                return ids
            }
            let newest = [train, other] + ids.reversed()
            for size in [1, 2, 200] as [UInt32] {
                func all(_ change: (inout ListJobsRequest) -> Void) async throws -> [String] {
                    var request = ListJobsRequest(pageSize: size)
                    change(&request)
                    return try await list(olga, request)
                }
                #expect(try await all { _ in } == newest)
                #expect(try await all { $0.states = ["CANCELLED"] } == [ids[2], ids[1]])
                #expect(try await all { $0.states = ["CANCELLED", "QUEUED"] } == newest)
                #expect(try await all { $0.states = ["RUNNING"] } == [])
                #expect(try await all { $0.kinds = ["train"] } == [train])
                #expect(try await all { $0.kinds = ["train", "quantize"] } == newest)
                #expect(try await all { $0.name = "n" } == newest)
                #expect(try await all { $0.name = "über n" } == [train])
                #expect(try await all { $0.name = "%" } == [])
                #expect(try await all { $0.owner = "olga" } == [other])
                #expect(
                    try await all {
                        ($0.owner, $0.states, $0.kinds) = ("ada", ["QUEUED"], ["quantize"])
                    } == [ids[3], ids[0]]
                )
            }
            // Whom one does not see one does not find.
            let asked = ListJobsRequest(owner: "olga")
            #expect(try await list(ada, asked) == [])
            for request in [ListJobsRequest(states: ["queued"]), ListJobsRequest(kinds: ["x"])] {
                #expect(await code { _ = try await list(ada, request) } == .invalidArgument)
            }
        }
    }

    /// Seen: each job of a page that waited took four statements of its own.
    @Test func aPageOfJobsThatWaitTakesAsManyStatementsAsOneJob() async throws {
        let noted = try Noted(AccessPolicy())
        let (fixture, engine) = (noted.fixture, noted.engine)
        let first = try await engine.submit(fixture.submission("1")).id
        var waiting: [String] = []
        func submit(_ count: Int) async throws {
            for _ in 0..<count {
                let key = "w\(waiting.count)"
                var submission = try fixture.submission(
                    key,
                    kind: "quantize",
                    model: "job:\(first)/model"
                )
                submission.after = [first]
                waiting.append(try await engine.submit(submission).id)
            }
        }
        func page() async throws -> [JobSummary] {
            try await engine.list(
                pageSize: 200,
                before: nil,
                of: JobChoice(states: [.blocked])
            ).jobs
        }
        try await submit(1)
        // What a new connection asks of the schema counts for nobody.
        _ = try await page()
        let alone = try await noted.count { _ = try await page() }
        try await submit(40)
        let many = try await noted.count { _ = try await page() }
        #expect(alone > 0 && many == alone)
        let jobs = try await page()
        #expect(jobs.map(\.jobID) == waiting.reversed())
        #expect(
            jobs.allSatisfy {
                $0.waitReason
                    == "waits for the outputs of job:\(first)/model, and the end of \(first)"
                    && $0.after == [first]
            },
            "\(jobs.first?.waitReason ?? "")"
        )
        for plan in try await noted.plans() {
            #expect(!plan.lines.contains(where: Self.isLong), "\(plan)")
        }
    }

    /// Seen: `status --state running` took 600 calls and 8.6 s to find none of 120,000 jobs.
    @Test(arguments: ["ada", nil])
    func aListOfStatesReadsNoOthers(_ owner: String?) async throws {
        let noted = try Noted(AccessPolicy())
        for key in ["a", "b"] { _ = try await noted.engine.submit(noted.fixture.submission(key)) }
        let choice = JobChoice(owner: owner, states: [.running, .queued])
        let page = try await noted.engine.list(pageSize: 1, before: nil, of: choice)
        #expect(page.jobs.map(\.name) == ["b"])
        let plans = try await noted.plans().filter {
            $0.statement.contains("ORDER BY \"number\" DESC")
        }
        #expect(plans.count == 2)
        let index =
            owner == nil ? "job_by_state (state=?" : "job_by_owner_state (tenant=? AND state=?"
        #expect(plans.contains { $0.lines.count == 1 && $0.lines[0].contains(index) }, "\(plans)")
        for plan in plans {
            #expect(!plan.lines.contains(where: Self.isLong), "\(plan)")
            // No sort: what is first is found first.
            let isSorted = plan.lines.contains { $0.contains("TEMP B-TREE") }
            #expect(!isSorted, "\(plan)")
        }
    }
}
