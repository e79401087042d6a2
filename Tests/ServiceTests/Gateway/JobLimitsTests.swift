internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// What is accepted can always be leased, listed and shown: each answer is one message of at most
/// 256 KiB (docs/PROTOCOL.md).
struct JobLimitsTests {
    private static let messageLimit = 262_144

    private static func file(_ path: String) -> InputFile {
        InputFile(path: path, digest: SHA256Digest.of(path), size: .max)
    }

    private func submission(
        _ fixture: StoreFixture,
        key: String = "k",
        name: String = "n",
        specBytes: Int? = nil,
        inputs: [Input]? = nil
    ) throws -> JobEngine.Submission {
        let usual = try fixture.submission(key)
        return JobEngine.Submission(
            owner: usual.owner,
            key: key,
            digest: usual.digest,
            kind: usual.kind,
            name: name,
            spec: specBytes.map { [UInt8](repeating: 32, count: $0) } ?? usual.spec,
            resources: usual.resources,
            inputs: inputs ?? usual.inputs
        )
    }

    /// A JSON object of so many bytes.
    private func results(ofByteCount count: Int) -> [UInt8] {
        Array((#"{"x":""# + String(repeating: "x", count: count - 8) + #""}"#).utf8)
    }

    /// The largest job that is taken: every answer that carries it fits.
    @Test func theLargestJobFitsIntoEveryAnswer() async throws {
        let fixture = try StoreFixture()
        let limits = fixture.engine.limits
        try await fixture.register()
        let name = String(repeating: "n", count: limits.nameBytes)
        var inputs: [Input] = []
        for index in 0..<limits.inputs {
            let source = String(repeating: "s", count: 300)
            let more =
                inputs + [
                    Input(
                        pointer: "/data/\(index)",
                        source: source,
                        files: [
                            Self.file(String(repeating: "f", count: 200) + "\(index)")
                        ]
                    )
                ]
            guard JobLimits.byteCount(of: more) <= limits.inputBytes else { break }
            inputs = more
        }
        let id = try await fixture.engine.submit(
            submission(fixture, name: name, specBytes: limits.specBytes, inputs: inputs)
        ).id
        let lease = try #require(try await fixture.acquire())
        let answer = try AcquireLeaseResponse(lease: lease).encoded().count
        #expect(answer <= Self.messageLimit && answer > 200_000)

        var outputs: [OutputFile] = []
        while (outputs.count + 1) * (64 + 100) <= limits.outputBytes {
            let number = String(format: "%0100d", outputs.count)
            outputs.append(OutputFile(name: number, digest: SHA256Digest.of(number), size: .max))
        }
        let verdict = try await fixture.engine.complete(
            CompleteLeaseRequest(
                jobID: id,
                epoch: lease.epoch,
                resultsJSON: results(ofByteCount: limits.resultBytes),
                outputs: outputs
            ),
            by: StoreFixture.holder("train-1", boot: "b1")
        )
        #expect(verdict == .accepted)
        let detail = try await fixture.engine.detail(id).encoded().count
        #expect(detail <= Self.messageLimit && detail > 240_000)
    }

    /// JSON's numbers are exact up to 2^53 (RFC 8259, 6).
    ///
    /// Seen: "step 18446744073709551615".
    @Test func aStepIsOneThatJSONCanSay() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        let event = JobEvent(
            jobID: id,
            type: .progress,
            progress: JobProgress(step: .max, totalSteps: .max - 1, phase: "train")
        )
        #expect(try await fixture.heartbeat(lease, events: [event]) == .continue)
        let progress = try await fixture.engine.detail(id).summary.progress
        #expect(progress.step == 9_007_199_254_740_992)
        #expect(progress.totalSteps == 9_007_199_254_740_992)
        #expect(try await fixture.events(id).last?.progress?.step == progress.step)
    }

    @Test func whatIsTooLargeIsRefusedByName() async throws {
        let fixture = try StoreFixture()
        let long = String(repeating: "x", count: 200_000)
        let many = (0..<3_000).map { Self.file("folder/file-number-\($0)") }
        let cases: [(JobEngine.Submission, String)] = [
            (try submission(fixture, specBytes: 262_100), "specification"),
            (try submission(fixture, key: ""), "key"),
            (try submission(fixture, key: String(repeating: "k", count: 65)), "key"),
            (try submission(fixture, name: long), "name"),
            (
                try submission(fixture, inputs: [Input(pointer: "/model", source: long)]),
                "/model: the source"
            ),
            (
                try submission(fixture, inputs: [Input(pointer: "/m", source: "m", files: many)]),
                "3000 files"
            ),
            (
                try submission(
                    fixture,
                    inputs: (0..<257).map { Input(pointer: "/\($0)", source: "m") }
                ),
                "257 inputs"
            ),
        ]
        for (submission, word) in cases {
            let error = await #expect(throws: StoreError.self) {
                try await fixture.engine.submit(submission)
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
            #expect((error?.message.utf8.count ?? 0) < 1_024)
        }
        #expect(try await fixture.engine.list(pageSize: 10, before: nil).jobs.isEmpty)
    }

    /// Names that a terminal would obey, and paths that would leave their folder.
    @Test(arguments: [
        "a\u{1B}[2Jb", "a\nb", "a\u{0}b", "a\u{202E}b", "a\u{2028}b", "a\u{9B}b", "a\u{FEFF}b",
    ])
    func namesPrint(text: String) async throws {
        let fixture = try StoreFixture()
        let inputs = [
            [Input(pointer: "/model", source: text, files: [Self.file("m")])],
            [Input(pointer: "/model", source: "m", files: [Self.file(text)])],
        ]
        for submission in [
            try submission(fixture, name: text), try submission(fixture, key: text),
            try submission(fixture, inputs: inputs[0]), try submission(fixture, inputs: inputs[1]),
        ] {
            let error = await #expect(throws: StoreError.self) {
                try await fixture.engine.submit(submission)
            }
            #expect(error?.code == .invalidArgument)
            // The sentence that names it prints, too.
            #expect(PlainText.fault(in: error?.message ?? "", byteLimit: 2_000) == nil)
        }
    }

    @Test func namesOfAllScriptsAreFine() async throws {
        let fixture = try StoreFixture()
        for (index, name) in ["Größe", "模型-四", "می‌خواهم", "👩‍🔬", "a b", "ना‍म"].enumerated() {
            let id = try await fixture.engine.submit(
                submission(fixture, key: "k\(index)", name: name)
            ).id
            #expect(try await fixture.engine.detail(id).summary.name == name)
        }
    }

    @Test(arguments: ["../x", "/etc/passwd", "a//b", "a/./b", "a/../b", "", "a\\b", "a/", "x\u{7}"])
    func outputsAreRelativePaths(name: String) async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        let error = await #expect(throws: StoreError.self) {
            try await fixture.engine.complete(
                CompleteLeaseRequest(
                    jobID: id,
                    epoch: lease.epoch,
                    outputs: [OutputFile(name: name, digest: SHA256Digest.of("x"), size: 1)]
                ),
                by: StoreFixture.holder("train-1", boot: "b1")
            )
        }
        #expect(error?.code == .invalidArgument)
        // Nothing happened: the lease stands, and another end is taken.
        #expect(try await fixture.heartbeat(lease) == .continue)
        #expect(try await fixture.complete(lease))
    }

    @Test func filesLieInOneFolderAndResultsAreAnObject() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        let digest = SHA256Digest.of("x")
        for (names, results) in [
            (["a", "a"], "{}"), (["a", "a/b"], "{}"), (["a/b/c", "a"], "{}"), (["a"], "[]"),
            (["a"], "{"), (["a"], String(repeating: "[", count: 90_000)),
            (["a"], String(repeating: #"{"a":"#, count: 9_000)),
        ] {
            let error = await #expect(throws: StoreError.self) {
                try await fixture.engine.complete(
                    CompleteLeaseRequest(
                        jobID: id,
                        epoch: lease.epoch,
                        resultsJSON: Array(results.utf8),
                        outputs: names.map { OutputFile(name: $0, digest: digest, size: 1) }
                    ),
                    by: StoreFixture.holder("train-1", boot: "b1")
                )
            }
            #expect(error?.code == .invalidArgument, "\(names)")
        }
        let twice = [Self.file("a"), Self.file("a")]
        for input in [
            Input(pointer: "/model", source: "m", files: twice),
            Input(pointer: "/model", source: "job:\(id)", files: [Self.file("a")]),
        ] {
            let error = await #expect(throws: StoreError.self) {
                try await fixture.engine.submit(submission(fixture, key: "n", inputs: [input]))
            }
            #expect(error?.code == .invalidArgument)
        }
        // Metrics that are no object end nothing: a line says that they are missing.
        let odd = JobEvent(jobID: id, type: .metric, metricsJSON: Array("[[[".utf8))
        #expect(try await fixture.heartbeat(lease, events: [odd]) == .continue)
        let kept = try #require(try await fixture.events(id).last)
        #expect(kept.type == .log && kept.message.contains("no JSON object"))
        #expect(try await fixture.complete(lease))
    }

    /// Seen to break status for everybody: a source of 200,000 characters, as an older version
    /// took it.
    @Test func anOldJobWithAHugeSourceDoesNotBreakTheList() async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("a", kind: "quantize")
        let second = try await fixture.submit("b", kind: "quantize", model: "job:\(first)")
        let huge = "job:\(first)/" + String(repeating: "x", count: 200_000)
        try await fixture.execute("UPDATE input SET source = '\(huge)' WHERE job = '\(second)'")
        try await fixture.execute("UPDATE job SET name = '\(huge)' WHERE id = '\(second)'")
        let jobs = try await fixture.engine.list(pageSize: 50, before: nil).jobs
        #expect(jobs.map(\.jobID) == [second, first])
        #expect(try ListJobsResponse(jobs: jobs).encoded().count < 4_096)
    }

    /// 400 jobs of the longest sentences: every page fits, and the pages hold each job once.
    @Test func pagesAreCutByBytes() async throws {
        let fixture = try StoreFixture()
        for index in 0..<400 {
            try await fixture.submit("k\(index)")
        }
        let sentence = String(repeating: "é", count: 500)
        let name = String(repeating: "模", count: 60)
        try await fixture.execute(
            "UPDATE job SET state = 'FAILED', message = '\(sentence)', name = '\(name)'"
        )
        var ids: [String] = []
        var before: Int64?
        repeat {
            let page = try await fixture.engine.list(pageSize: 200, before: before)
            let bytes = try ListJobsResponse(
                jobs: page.jobs,
                nextPageToken: "\(Int64.max)",
                pipelines: page.pipelines
            ).encoded()
            #expect(bytes.count <= Self.messageLimit)
            ids += page.jobs.map(\.jobID)
            before = page.next
        } while before != nil
        #expect(ids.count == 400 && Set(ids).count == 400)
    }
}
