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

    /// Seen: an operator, who sees everybody's jobs, cancelled and removed another's by `latest`.
    @Test(arguments: [true, false])
    func latestIsTheCallersOwn(isHarmless: Bool) {
        func choice(_ user: String) -> JobSelector.Choice {
            JobSelector.choice("latest", among: jobs, isHarmless: isHarmless, user: user)
        }
        #expect(choice("ada") == .one(jobs[2], of: 1))
        #expect(choice("olga") == .none("you have no jobs yet"))
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

    /// `cancel 00aa` cancelled the job *named* so, whoever's id began with it.
    @Test func verbsThatChangeJobsRefuseWhatHasTwoMeanings() {
        var part = JobSummary(jobID: "0011000000000006", name: "q", state: "FAILED")
        part.pipelineID = "p-0000000000000001"
        part.part = "train"
        let jobs = [
            JobSummary(jobID: "00cc000000000004", name: "latest", state: "RUNNING"),
            JobSummary(jobID: "00bb000000000003", name: "00aa", state: "RUNNING"),
            JobSummary(jobID: "00aa000000000001", name: "p/train", state: "FAILED"),
            JobSummary(jobID: "00a0000000000005", name: "00aa000000000001", state: "FAILED"),
            part,
            JobSummary(jobID: "0022000000000007", name: "0022", state: "QUEUED"),
        ]
        let pipelines = [
            PipelineSummary(pipelineID: "p-0000000000000001", name: "p", state: "FAILED")
        ]
        func choice(_ word: String, isHarmless: Bool) -> JobSelector.Choice {
            JobSelector.choice(word, among: jobs, pipelines: pipelines, isHarmless: isHarmless)
        }
        func id(_ choice: JobSelector.Choice) -> String? {
            if case .one(let job, _) = choice { job.jobID } else { nil }
        }
        #expect(
            choice("00aa", isHarmless: false)
                == .none(
                    "\"00aa\" is the name of 00bb000000000003 (RUNNING), and begins 00aa000000000001 "
                        + "(FAILED); write the whole id"
                )
        )
        // `latest` is the last submission, which is called otherwise here; so is what the slash means.
        let swapped = JobSelector.choice("latest", among: jobs.reversed(), isHarmless: false)
        #expect(id(swapped) == nil)
        #expect(id(choice("p/train", isHarmless: false)) == nil)
        // Both readings are the same job, or a whole id is written: that is clear.
        #expect(id(choice("latest", isHarmless: false)) == "00cc000000000004")
        #expect(id(choice("0022", isHarmless: false)) == "0022000000000007")
        #expect(id(choice("00aa000000000001", isHarmless: false)) == "00aa000000000001")
        #expect(id(choice("00bb", isHarmless: false)) == "00bb000000000003")
        // Verbs that only look take the name.
        #expect(id(choice("00aa", isHarmless: true)) == "00bb000000000003")
        #expect(id(choice("p/train", isHarmless: true)) == "0011000000000006")
    }

    /// docs/CLIENT.md: verbs that only look take the newest and say so.
    ///
    /// Seen: they took the pipeline's job.
    @Test(arguments: [(Int64(7), "0033000000000008"), (3, "0011000000000006")])
    func aNameThatIsAlsoAPlaceMeansTheNewest(created: Int64, expected: String) {
        var part = JobSummary(jobID: "0011000000000006", name: "q", state: "FAILED")
        part.pipelineID = "p-0000000000000001"
        part.part = "train"
        part.createdUnixMs = 5
        var named = JobSummary(jobID: "0033000000000008", name: "pp/train", state: "QUEUED")
        named.createdUnixMs = created
        let pipeline = PipelineSummary(
            pipelineID: "p-0000000000000001",
            name: "pp",
            state: "FAILED"
        )
        let choice = JobSelector.choice(
            "pp/train",
            among: [named, part],
            pipelines: [pipeline],
            isHarmless: true
        )
        guard case .one(let job, let count) = choice else {
            Issue.record("\(choice)")
            return
        }
        #expect(job.jobID == expected && count == 2)
    }

    @Test func looksThroughAllPages() async throws {
        let gateway = try ScriptedGateway(jobs: jobs)
        try await gateway.serve { client in
            let selector = JobSelector(client: client, caller: { "" })
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
            // The gateway is asked for no more than what passes.
            let request = filter.request(user: filter.mine ? "ada" : "")
            #expect(request.states == filter.state.map { $0.uppercased() })
            #expect(request.kinds == filter.kind)
            #expect(request.owner == (filter.mine ? "ada" : ""))
            #expect(request.name == filter.name ?? "")
            let path = folder.home.path + "/ada.pem"
            return try await gateway.serve {
                try await filter.jobs($0, certificatePath: path, limit: filter.limit).jobs
                    .map(\.jobID)
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
        #expect(throws: (any Error).self) { try JobFilter.parse(["--kind", "served"]) }
        #expect(throws: (any Error).self) { try JobFilter.parse(["--limit", "0"]) }
        #expect(throws: (any Error).self) { try StatusCommand.parse(["00aa", "--kind", "train"]) }
    }
}
