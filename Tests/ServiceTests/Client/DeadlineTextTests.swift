internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Testing
@testable internal import qat_client

@Suite struct DeadlineTextTests {
    /// 2026-11-26 20:00 in Vienna, which is an hour ahead of UTC in winter.
    private static let now = Date(timeIntervalSince1970: 1_795_719_600)
    private static let hour: Int64 = 3_600_000

    private static func deadline(_ text: String) -> Deadline? {
        TimeZone(identifier: "Europe/Vienna").flatMap { Deadline(text, now: now, zone: $0) }
    }

    @Test(arguments: [
        ("90s", Int64(90_000)), ("30m", 1_800_000), ("2h", 2 * hour), ("1h30m", 3 * hour / 2),
        ("3d", 72 * hour), ("1d2h3m4s", 93_784_000),
    ])
    func durationsAreCountedFromTheSubmission(text: String, milliseconds: Int64) {
        #expect(Self.deadline(text) == .after(milliseconds))
    }

    /// Hours from now, by hand.
    @Test(arguments: [
        ("21:30", 1.5), ("19:00", 23), ("20:00", 24), ("2026-11-27T08:00", 12),
        ("2026-11-27 08:00", 12), ("2026-11-27T08:00:30Z", 13 + 30.0 / 3600),
        ("2026-11-27T08:00Z", 13), ("2026-11-27T08:00+02:00", 11), ("2026-11-25T20:00", -24),
    ])
    func timesAreThoseOfTheClock(text: String, hours: Double) {
        let expected = Self.now.timeIntervalSince1970 + hours * 3600
        #expect(Self.deadline(text) == .at(Int64((expected * 1000).rounded())), "\(text)")
    }

    @Test(arguments: [
        "", "2", "h", "0s", "2x", "30m2h", "2h2h", "-2h", "1.5h", "25:00", "8:00", "08:60",
        "2026-11-27", "2026-13-01T00:00", "2027-02-30T00:00", "2026-11-31T08:00Z", "tomorrow",
        "99999999999999999999s",
    ])
    func otherTextsAreNone(text: String) {
        #expect(Self.deadline(text) == nil, "\(text)")
    }

    /// What the gateway would refuse is refused before anything is sent.
    @Test(arguments: [
        ("2026-11-25T20:00", true), ("2275-01-01T00:00", true), ("2h", false),
        ("2026-11-27T08:00", false),
    ])
    func timesOutOfReachAreRefused(text: String, isRefused: Bool) throws {
        #expect((try #require(Self.deadline(text)).fault(now: Self.now) != nil) == isRefused)
    }

    /// Seconds by hand; a bare number always meant seconds.
    @Test(arguments: [
        ("1s", 1.0), ("1h30m", 5_400), ("0", 0), ("2.5", 2.5), ("90", 90), ("3d", 259_200),
    ])
    func waitTakesDurationsAndSeconds(text: String, seconds: Double) throws {
        #expect(WaitCommand.limit(text) == .seconds(seconds))
        #expect(try WaitCommand.parse(["latest", "--timeout", text]).timeout == text)
    }

    @Test(arguments: ["-1", "soon", "nan", "inf", "1e10", "2x", ""])
    func waitRefusesOtherLimits(text: String) {
        let arguments = ["latest", "--timeout=\(text)"]
        #expect(throws: (any Error).self) { try WaitCommand.parse(arguments) }
    }

    /// docs/JOBS.md: a name has 200 bytes; the client took 128.
    @Test func aNameHasAsManyBytesAsTheGatewayTakes() throws {
        let longest = String(repeating: "n", count: 200)
        #expect(try SubmitCommand.parse(["x.json", "--name", longest]).name == longest)
        #expect(throws: (any Error).self) {
            try SubmitCommand.parse(["x.json", "--name", longest + "n"])
        }
        #expect(throws: Never.self) {
            let text = """
                {"name": "\(longest)", "model": "m", "quantization": {"algorithm": "mxfp4"}}
                """
            _ = try JobSpec.parse(kind: "quantize", json: Array(text.utf8))
        }
    }

    @Test func refusalsSayWhatMayBeWritten() {
        for arguments in [["--deadline", "soon"], ["--priority", "urgent"]] {
            let error = #expect(throws: (any Error).self) {
                try SubmitCommand.parse(["x.json"] + arguments)
            }
            let message = error.map { SubmitCommand.message(for: $0) } ?? ""
            #expect(message.contains(arguments[1]) && message.contains("expected"), "\(message)")
        }
    }

    /// Refusals seen that did not say what was wrong.
    @Test func refusalsOfOtherWordsSayWhatIsExpected() {
        func message<Verb: ParsableCommand>(_ verb: Verb.Type, _ words: String...) -> String {
            let error = #expect(throws: (any Error).self) { try Verb.parse(words) }
            return error.map { Verb.message(for: $0) } ?? ""
        }
        let kinds = message(SubmitCommand.self, "q.json", "train.json")
        for word in ["q.json", "quantize", "train", "evaluate", "pipeline"] {
            #expect(kinds.contains(word), "\(kinds)")
        }
        #expect(message(SubmitCommand.self, "trian", "x.json").contains("did you mean train?"))
        #expect(message(StatusCommand.self, "--limit", "-1").contains("from 1 to 100000"))
        #expect(message(StatusCommand.self, "--kind", "pipeline").contains("by its id"))
        let age = message(JobsCommand.Remove.self, "--older-than", "1")
        #expect(age.contains("30d"), "\(age)")
    }

    @Test func prioritiesMayBeNegative() throws {
        let command = try SubmitCommand.parse(["x.json", "--priority", "-50", "--reuse"])
        #expect(command.options.schedule == Schedule(priority: -50, reuse: true))
        #expect(try SubmitCommand.parse(["x.json"]).options.schedule == Schedule())
    }

    /// Words are the same as long as they are; a duration and a date are the same however they are written.
    @Test func whatWasTypedIsTheSameWhateverItMeansByNow() throws {
        func typed(_ arguments: String...) throws -> TypedSchedule {
            try SubmitCommand.parse(["x.json"] + arguments).options.typed
        }
        #expect(try typed() == TypedSchedule() && TypedSchedule().json == .null)
        #expect(try typed("--deadline", "17:30").json == typed("--deadline", "17:30").json)
        #expect(try typed("--deadline", "17:30").rest.deadline == nil)
        #expect(try typed("--deadline", "17:30").json != typed("--deadline", "17:31").json)
        #expect(try typed("--deadline", "60m").json == typed("--deadline", "1h").json)
        #expect(
            try typed("--deadline", "2035-01-01T00:00Z").json
                == typed("--deadline", "2035-01-01T01:00+01:00").json
        )
        #expect(try typed("--after", "latest").json != typed("--after", "base").json)
        #expect(try typed("--after", "latest").after == ["latest"])
        // As versions before wrote it: what they left unfinished is found.
        let known = Schedule(after: ["00aa000000000001"], priority: 3, reuse: true)
        #expect(
            try typed("--after", "00aa000000000001", "--priority", "3", "--reuse").json
                == known.members
        )
    }
}
