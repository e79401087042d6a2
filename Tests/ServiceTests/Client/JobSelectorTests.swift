internal import ArgumentParser
internal import Protocol
internal import Testing
@testable internal import qat_client

@Suite struct JobSelectorTests {
    private let jobs = [
        JobSummary(jobID: "00bb000000000003", kind: "evaluate", name: "compare", state: "RUNNING"),
        JobSummary(jobID: "00ba000000000002", kind: "train", name: "demo", state: "FAILED"),
        JobSummary(
            jobID: "00aa000000000001",
            kind: "train",
            name: "demo",
            state: "SUCCEEDED",
            owner: "ada"
        ),
    ]

    private func id(_ word: String, isHarmless: Bool = true) -> String {
        switch JobSelector.choice(word, among: jobs, isHarmless: isHarmless) {
        case .one(let job, _): job.jobID
        case .pipeline(let pipeline, _): pipeline.pipelineID
        case .none(let problem): problem
        }
    }

    @Test(arguments: [
        ("00ba000000000002", "00ba000000000002"), ("00ba", "00ba000000000002"),
        ("00a", "00aa000000000001"), ("latest", "00bb000000000003"),
        ("compare", "00bb000000000003"),
        // Of several with a name a verb that only looks takes the newest.
        ("demo", "00ba000000000002"),
    ])
    func takesIDsTheirBeginningsNamesAndLatest(word: String, expected: String) {
        #expect(id(word) == expected)
    }

    @Test func refusesWhatIsNotClear() {
        #expect(
            id("00b") == "\"00b\" begins several jobs: 00bb000000000003 (RUNNING), "
                + "00ba000000000002 (FAILED); write more of the id"
        )
        #expect(id("demo", isHarmless: false).hasPrefix("\"demo\" is the name of several jobs: "))
        #expect(id("compare", isHarmless: false) == "00bb000000000003")
        #expect(id("dem") == "no job has the id or the name \"dem\"")
        #expect(id("") == "no job has the id or the name \"\"")
        #expect(id("\u{1B}") == "no job has the id or the name \"\\u{1b}\"")
        let none = JobSelector.choice("latest", among: [], isHarmless: true)
        #expect(none == .none("there are no jobs yet"))
    }

    @Test func looksThroughAllPages() async throws {
        let gateway = try ScriptedGateway(jobs: jobs)
        try await gateway.serve { client in
            let selector = JobSelector(client: client)
            let words = ["00aa", "latest", "00bb000000000003", "ffffffffffffffff"]
            let ids = try await selector.ids(words, isHarmless: false)
            // A whole id is the gateway's to know.
            #expect(ids == ["00aa000000000001", "00bb000000000003", "ffffffffffffffff"])
            let error = await #expect(throws: ClientError.self) {
                try await selector.ids(["x", "y"], isHarmless: true)
            }
            #expect(error?.status == .usage && error?.lines.count == 2)
        }
    }

    @Test func filtersJobs() async throws {
        let gateway = try ScriptedGateway(jobs: jobs)
        let folder = try TemporaryHome()
        let home = folder.home.path
        try CertificateAuthority.createAuthority(in: home, trustDomain: "test")
        _ = try CertificateAuthority.issue(
            subject: .user(name: "ada"),
            hosts: [],
            authorityFolder: home,
            folder: home,
            name: "ada"
        )
        func found(_ arguments: [String]) async throws -> [String] {
            let filter = try JobFilter.parse(arguments)
            let path = folder.home.path + "/ada.pem"
            return try await gateway.serve {
                try await filter.jobs($0, certificatePath: path).jobs.map(\.jobID)
            }
        }
        #expect(try await found([]).count == 3)
        #expect(try await found(["--kind", "train", "--limit", "1"]) == ["00ba000000000002"])
        #expect(try await found(["--state", "succeeded"]) == ["00aa000000000001"])
        #expect(try await found(["--state", "FAILED", "--state", "running"]).count == 2)
        #expect(try await found(["--name", "DEM"]).count == 2)
        #expect(try await found(["--name", "none"]).isEmpty)
        #expect(try await found(["--mine"]) == ["00aa000000000001"])
        #expect(try await found(["--state", "starting"]).isEmpty)
    }

    @Test func refusesFiltersThatAreNone() {
        let state = #expect(throws: (any Error).self) {
            try JobFilter.parse(["--state", "runing"])
        }
        #expect(state.map { JobFilter.message(for: $0) }?.contains("did you mean running?") == true)
        #expect(throws: (any Error).self) { try JobFilter.parse(["--kind", "serve"]) }
        #expect(throws: (any Error).self) { try JobFilter.parse(["--limit", "0"]) }
        #expect(throws: (any Error).self) { try StatusCommand.parse(["00aa", "--kind", "train"]) }
    }
}
