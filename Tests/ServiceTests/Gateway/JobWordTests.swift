internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway
@testable internal import qat_client

/// A gateway looks for the jobs that a word may mean (docs/CLIENT.md, Naming jobs), so that the client need not
/// read through all.
struct JobWordTests {
    /// Three jobs of ada's, two of them of a pipeline, and one of eve's that is called as one of ada's.
    private func run(
        _ body: (GatewayFixture, _ demo: String, _ parts: [String: String]) async throws -> Void
    ) async throws {
        try await GatewayFixture.run { gateway in
            let demo = try await gateway.jobs.submit("demo")
            let pipeline = try await gateway.jobs.engine.submit(gateway.jobs.pipeline("pipe")).id
            let jobs = try await gateway.jobs.engine.pipeline(pipeline).jobs
            try await gateway.jobs.submit("demo", owner: "eve")
            var parts = Dictionary(uniqueKeysWithValues: jobs.map { ($0.part, $0.jobID) })
            parts["id"] = pipeline
            try await body(gateway, demo, parts)
        }
    }

    @Test func itListsWhatAWordMayMean() async throws {
        try await run { gateway, demo, parts in
            let ada = try gateway.user("ada")
            let pipeline = try #require(parts["id"])
            let both = Set(["a", "b"].compactMap { parts[$0] })
            func list(_ word: String) async throws -> Set<String> {
                var request = ListJobsRequest(pageSize: 1)
                request.word = word
                var ids: Set<String> = []
                repeat {
                    let page = try await ada.call(QatMethods.listJobs, request)
                    ids.formUnion(page.jobs.map(\.jobID))
                    #expect(page.jobs.allSatisfy { $0.owner == "ada" })
                    request.pageToken = page.nextPageToken
                } while !request.pageToken.isEmpty
                return ids
            }
            #expect(try await list("demo") == [demo])
            #expect(try await list("") == both.union([demo]))
            for word in ["pipe", pipeline, String(pipeline.prefix(6))] {
                #expect(try await list(word) == both)
            }
            #expect(try await list("pipe/a") == Set([parts["a"]].compactMap { $0 }))
            #expect(
                try await list("\(pipeline.prefix(9))/b") == Set([parts["b"]].compactMap { $0 })
            )
            for id in both.union([demo]) {
                // Of three ids others may begin with the same digit, and none in the middle.
                #expect(try await list(String(id.prefix(12))).contains(id))
                #expect(try await list(String(id.suffix(12))).contains(id) == false)
            }
            for word in ["dem", "DEMO", "%", "demo ", "'", "pipe/c", "pipe/", "/a", "b/a"] {
                #expect(try await list(word) == [], "\(word)")
            }
            var long = ListJobsRequest()
            // 200 bytes of a name, a slash, 64 of a part (docs/JOBS.md).
            long.word = String(repeating: "x", count: 200 + 1 + 64 + 1)
            #expect(
                await code { _ = try await ada.call(QatMethods.listJobs, long) } == .invalidArgument
            )
        }
    }

    @Test func wordsMeanTheSameWithAGatewayThatLooks() async throws {
        try await run { gateway, demo, parts in
            let selector = JobSelector(client: try gateway.user("ada"), caller: { "ada" })
            let pipeline = try #require(parts["id"])
            for isHarmless in [true, false] {
                func target(_ word: String) async throws -> JobTarget {
                    try await selector.target(word, isHarmless: isHarmless)
                }
                #expect(try await target("demo") == .job(demo))
                #expect(try await target("pipe") == .pipeline(pipeline))
                #expect(try await target("latest") == .pipeline(pipeline))
                #expect(try await target("pipe/b").id == parts["b"])
                #expect(try await target(String(demo.prefix(15))) == .job(demo))
                let words = ["pipe", "demo", "latest", "pipe/a"]
                let ids = try await selector.targets(words, isHarmless: isHarmless).map(\.id)
                #expect(ids == [pipeline, demo, try #require(parts["a"])])
                let error = await #expect(throws: ClientError.self) { _ = try await target("dem") }
                #expect(error?.lines == ["no job has the id or the name \"dem\""])
            }
            let others = JobSelector(client: try gateway.user("olga"), caller: { "olga" })
            let error = await #expect(throws: ClientError.self) {
                try await others.target("latest")
            }
            #expect(error?.lines == ["there are no jobs yet"])
        }
    }

    /// An operator sees everybody's jobs, and means the own ones.
    @Test func latestIsAnOperatorsOwn() async throws {
        var policy = AccessPolicy()
        policy.operators = ["olga"]
        try await GatewayFixture.run(policy) { gateway in
            let selector = JobSelector(client: try gateway.user("olga"), caller: { "olga" })
            try await gateway.jobs.submit("1")
            let error = await #expect(throws: ClientError.self) {
                try await selector.target("latest")
            }
            #expect(error?.lines == ["you have no jobs yet"])
            let own = try await gateway.jobs.submit("2", owner: "olga")
            try await gateway.jobs.submit("3")
            #expect(try await selector.target("latest", isHarmless: false) == .job(own))
        }
    }
}
