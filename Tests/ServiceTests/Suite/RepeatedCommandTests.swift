internal import Foundation
internal import Protocol
internal import TestProgram
internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md, Once and Exits, by the built programs.
///
/// The same command again is the same job where its answer was lost or never shown; of several words one that names
/// nothing keeps the others from nothing.
@Suite struct RepeatedCommandTests {
    private let programs: ProgramShell
    private let home: String

    init() throws {
        programs = try ProgramShell()
        home = programs.folder + "/home"
        try GatewayProcess.makeAuthority(home)
        try TinyModelFolder().write(to: programs.folder + "/model")
        let job = #"{"model": "model", "quantization": {"algorithm": "mxfp4"}}"#
        try write(job, "q.json")
        try write(
            #"{"jobs": {"a": \#(job), "b": \#(job.replacing("\"model\"}", with: "job:a"))}}"#,
            "p.json"
        )
    }

    private func write(_ text: String, _ name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: programs.folder + "/" + name))
    }

    /// With a gateway, no worker, and a home of ada's.
    private func serve(_ body: () async throws -> Void) async throws {
        defer { programs.remove() }
        let gateway = try await GatewayProcess(
            state: programs.folder + "/state",
            certificates: home
        )
        defer { gateway.kill() }
        try await gateway.client(.user(name: "ada"), "ada").close()
        let profile =
            #"{"gateway":"\#(try gateway.address())","certificate":"ada.pem","key":"ada.key","#
            + #""ca":"ca.pem"}"#
        try write(profile, "home/profile.json")
        try await body()
    }

    private func run(_ line: String) async throws -> TestProgram.Outcome {
        try await shell("qat-client \(line)")
    }

    private func shell(_ line: String) async throws -> TestProgram.Outcome {
        let programs = programs
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try programs.run(line) })
            }
        }
    }

    /// The ids of jobs, or of pipelines, that there are.
    private func ids(_ kind: String = "jobs") async throws -> [String] {
        let text = try await run("status --json").output
        let status = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let found = status?[kind] as? [[String: Any]] ?? []
        return found.compactMap { ($0["job_id"] ?? $0["pipeline_id"]) as? String }
    }

    /// Seen: two jobs, or six instead of three, since `latest` was the very job whose answer was lost, and a
    /// time of day was tomorrow's.
    @Test(arguments: [
        ("q.json", "", ""), ("q.json --after latest", "", ""), ("q.json --after base", "", ""),
        // The next 12:00 is another one elsewhere, as it is a day later.
        ("q.json --deadline 12:00", "TZ=Etc/GMT+11 ", "TZ=Etc/GMT-11 "),
        ("p.json --after latest", "", ""), ("q.json --set model=job:latest", "", ""),
        ("q.json --set model=job:base", "", ""), ("p.json --set jobs.a.model=job:latest", "", ""),
    ])
    func whatWasNeverShownIsTheSameAgain(line: String, first: String, again: String) async throws {
        try await serve {
            #expect(try await run("submit q.json --name base").status == 0)
            let before = try await ids()
            let kind = line.hasPrefix("p") ? "pipelines" : "jobs"
            func submit(_ zone: String, _ output: String) async throws -> TestProgram.Outcome {
                try await shell("\(zone)qat-client submit \(line) --name base \(output)")
            }
            let lost = try await submit(first, ">/dev/full")
            #expect(lost.status == 1 && lost.errors.contains("No space left"), "\(lost)")
            let made = try await ids(kind).filter { !before.contains($0) }
            #expect(made.count == 1)
            let shown = try await submit(again, "")
            #expect(shown.status == 0 && shown.errors.contains("submitted before"), "\(shown)")
            #expect(shown.output.contains(made.first ?? "none"), "\(shown)")
            #expect(try await ids(kind).filter { !before.contains($0) } == made)
            // Now that it was shown, the same again is another one.
            let other = try await run("submit q.json --after \(before[0]) --name base")
            #expect(other.status == 0 && !other.errors.contains("submitted before"), "\(other)")
        }
    }

    /// Seen: refused the second time, with the advice to choose another key.
    @Test func aKeyTwiceIsTheSameJob() async throws {
        try await serve {
            #expect(try await run("submit q.json").status == 0)
            let line = "submit q.json --after latest --key timer"
            let first = try await run(line)
            let second = try await run(line)
            #expect(first.status == 0 && first.output == second.output, "\(first), \(second)")
            #expect(try await ids().count == 2)
        }
    }

    /// Seen: `wait nosuch latest` waited for nothing, and `status` showed nothing.
    @Test func aWordThatNamesNothingKeepsTheOthersFromNothing() async throws {
        try await serve {
            let id = try await run("submit q.json --name here").output
                .trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(try await run("cancel \(id)").status == 0)
            for unknown in ["nosuch", "0000000000000001"] {
                for verb in ["status", "wait", "wait --timeout 0"] {
                    for words in ["\(unknown) here", "here \(unknown)"] {
                        let outcome = try await run("\(verb) \(words)")
                        #expect(outcome.status == 2, "\(verb) \(words): \(outcome)")
                        #expect(outcome.output.contains("CANCELLED"), "\(verb): \(outcome)")
                        #expect(outcome.errors.contains("no job"), "\(verb): \(outcome)")
                        #expect(outcome.errors.contains(unknown), "\(verb): \(outcome)")
                    }
                    let alone = try await run("\(verb) \(unknown)")
                    #expect(alone.status == 2 && alone.output.isEmpty, "\(verb): \(alone)")
                }
            }
            #expect(try await run("wait here").status == 3)
        }
    }
}
