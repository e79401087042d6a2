internal import ArgumentParser
internal import Protocol
internal import Testing

@testable internal import qat_client

struct JobsRemovalTests {
    private static let day: Int64 = 86_400_000

    private static func job(_ id: String, _ state: String, _ finished: Int64?) -> JobSummary {
        JobSummary(jobID: id, state: state, finishedUnixMs: finished)
    }

    @Test func onlyJobsThatAreOverAndOldEnoughAreMeant() throws {
        let jobs = [
            Self.job("queued", "QUEUED", nil), Self.job("running", "RUNNING", nil),
            Self.job("new", "FAILED", 99 * Self.day), Self.job("old", "FAILED", 70 * Self.day),
            Self.job("older", "SUCCEEDED", 1), Self.job("cancelled", "CANCELLED", 2),
        ]
        func ids(_ age: String?) -> [String] {
            JobsCommand.Remove.over(
                jobs,
                olderThan: age.flatMap(Age.init(argument:)),
                nowUnixMs: 100 * Self.day
            ).map(\.jobID)
        }
        #expect(ids(nil) == ["new", "old", "older", "cancelled"])
        #expect(ids("30d") == ["old", "older", "cancelled"])
        #expect(ids("720h") == ids("30d"))
        #expect(ids("99d") == ["older", "cancelled"])
    }

    /// docs/CLIENT.md, Removing: what stays, and why.
    @Test(
        arguments: [
            (0, "", 0, nil), (5_300, "k", 0, "5.3 kB of its files stay: job k refers to it"),
            (
                7, "", 1_795_737_600_000,
                "7 B of its files stay: uploads go by 2026-11-27, or with "
                    + "\"qat-client artifacts gc --older-than 0h\""
            ),
            (
                7, "k", 1_795_737_600_000,
                "7 B of its files stay: job k refers to some of it; uploads go by 2026-11-27, or with "
                    + "\"qat-client artifacts gc --older-than 0h\""
            ),
            (7, "", 0, "7 B of its files stay"),
        ] as [(UInt64, String, Int64, String?)]
    )
    func whatStaysIsSaid(bytes: UInt64, job: String, until: Int64, expected: String?) {
        let gone = RemoveJobResponse(
            keptBytes: bytes,
            keptFor: job,
            keptUntilUnixMs: until
        )
        #expect(JobsCommand.Remove.kept(gone) == expected)
    }

    @Test(arguments: ["", "30", "d", "-1d", "1.5d", "1w", "36501d", "30 d"])
    func whatIsNoTimeIsRefused(text: String) {
        #expect(Age(argument: text) == nil)
    }

    @Test(arguments: [
        [], ["j", "--state", "failed"], ["j", "--older-than", "3d"], ["--older-than", "3"],
        ["--state", "gone"],
    ])
    func jobsOrFiltersAreAsked(arguments: [String]) {
        #expect(throws: (any Error).self) { try JobsCommand.Remove.parse(arguments) }
    }

    @Test(arguments: [[], ["--all", "folder"], ["--all", "--job", "j"]])
    func readingAllTakesNothingElse(arguments: [String]) {
        #expect(throws: (any Error).self) { try ArtifactsCommand.Verify.parse(arguments) }
    }
}
