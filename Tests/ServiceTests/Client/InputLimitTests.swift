internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway
@testable internal import qat_client

/// What a gateway refuses is refused before anything is sent, `--dry-run` included.
///
/// Seen: a text called `x<U+202E>y.txt`, and 171,691 bytes of names: "the file is valid".
@Suite struct InputLimitTests {
    private static func input(_ paths: [String]) -> Input {
        Input(
            pointer: "/model",
            source: "folder",
            files: paths.map { InputFile(path: $0, digest: .of("x"), size: 1) }
        )
    }

    private static func names(_ count: Int, bytes: Int) -> [String] {
        (0..<count).map { number in
            let digits = "\(number)"
            return digits + String(repeating: "n", count: bytes - digits.utf8.count)
        }
    }

    /// Refused here if, and only if, the gateway's rules refuse it.
    @Test(
        arguments: [
            ["a.txt"], ["x\u{202E}y.txt"], ["a\nb"], ["../a"], ["a//b"], ["a\\b"], [""],
            ["模型/a.txt", "b"], [String(repeating: "n", count: 1024)],
            [String(repeating: "n", count: 1025)],
            names(685, bytes: 127), names(686, bytes: 127), names(700, bytes: 200),
        ]
    )
    func theGatewaysRulesHoldHere(paths: [String]) throws {
        let inputs = [Self.input(paths)]
        let here = InputLimits(JobLimits()).faults(inputs)
        let usual = try StoreFixture().submission("k")
        let submission = JobEngine.Submission(
            owner: usual.owner,
            key: "k",
            digest: usual.digest,
            kind: usual.kind,
            name: "n",
            spec: usual.spec,
            resources: usual.resources,
            inputs: inputs
        )
        var there: String?
        do {
            try SubmissionRules(limits: JobLimits()).check(submission)
        } catch {
            there = "\(error)"
        }
        #expect(here.isEmpty == (there == nil), "\(here) \(there ?? "")")
    }

    @Test func aNameThatIsRefusedIsSaidWithItsPlace() throws {
        let folder = try TemporaryHome()
        try TinyModelFolder().write(to: folder.home.path + "/m")
        try folder.write("x\u{202E}y.txt", String(repeating: "words ", count: 40))
        let json =
            #"{"models": [{"label": "m", "model": "m"}], "tasks": [{"type": "perplexity", "#
            + #""text": "x\u202ey.txt", "seq_length": 64}]}"#
        let file = try folder.write("job.json", json)
        let error = #expect(throws: ClientError.self) {
            try SubmissionPlan(kind: "evaluate", file: file, name: nil)
        }
        #expect(error?.status == .usage)
        #expect(
            error?.lines.first?.contains("$.tasks[0].text: the path") == true,
            "\(error?.lines ?? [])"
        )
    }
}
