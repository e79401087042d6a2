internal import ArgumentParser
internal import Foundation
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
        "2026-11-27", "2026-13-01T00:00", "tomorrow", "99999999999999999999s",
    ])
    func otherTextsAreNone(text: String) {
        #expect(Self.deadline(text) == nil, "\(text)")
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

    @Test func prioritiesMayBeNegative() throws {
        let command = try SubmitCommand.parse(["x.json", "--priority", "-50", "--reuse"])
        #expect(command.options.schedule == Schedule(priority: -50, reuse: true))
        #expect(try SubmitCommand.parse(["x.json"]).options.schedule == Schedule())
    }
}
