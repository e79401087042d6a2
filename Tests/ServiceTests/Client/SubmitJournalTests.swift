internal import Foundation
internal import JobSpecs
internal import Testing
@testable internal import qat_client

@Suite struct SubmitJournalTests {
    private let folder: TemporaryHome
    private let journal: SubmitJournal

    init() throws {
        folder = try TemporaryHome()
        journal = SubmitJournal(folder.home)
    }

    private func intend(_ key: String, _ digest: String) throws {
        try journal.recordIntent(key: key, digest: digest, file: "job.json", unixMs: 0)
    }

    @Test func offersTheKeyOfALostSubmission() throws {
        try intend("k1", "d1")
        #expect(journal.unfinished(digest: "d1", isRunning: { _ in false })?.key == "k1")
        #expect(journal.unfinished(digest: "d2", isRunning: { _ in false })?.key == nil)
    }

    @Test func leavesTheKeyOfARunningProcessAlone() throws {
        try intend("k1", "d1")
        #expect(journal.unfinished(digest: "d1")?.key == nil)
    }

    @Test func offersNoKeyThatBecameAJobOrWasRefused() throws {
        try intend("k1", "d1")
        try journal.recordJob(key: "k1", jobID: "j1")
        try intend("k2", "d1")
        try journal.recordRefusal(key: "k2", reason: "quota")
        #expect(journal.unfinished(digest: "d1", isRunning: { _ in false })?.key == nil)
        try intend("k3", "d1")
        #expect(journal.unfinished(digest: "d1", isRunning: { _ in false })?.key == "k3")
    }

    @Test func survivesALineCutOffByACrash() throws {
        try intend("k1", "d1")
        let handle = try #require(FileHandle(forWritingAtPath: folder.home.journalPath))
        try handle.seekToEnd()
        try handle.write(contentsOf: Array(#"{"key":"k2","dig"#.utf8))
        try handle.close()
        try intend("k3", "d3")
        #expect(journal.unfinished(digest: "d1", isRunning: { _ in false })?.key == "k1")
        #expect(journal.unfinished(digest: "d3", isRunning: { _ in false })?.key == "k3")
    }

    /// What `latest` and a time of day meant is sent again, not what they mean by now.
    @Test func keepsWhatWordsMeant() throws {
        let meant = Schedule(
            after: ["00aa000000000001"],
            priority: -5,
            deadline: .at(1_795_800_000_000),
            reuse: true
        )
        try journal.recordIntent(
            key: "k1",
            digest: "d1",
            file: "job.json",
            schedule: meant,
            unixMs: 0
        )
        let found = journal.unfinished(digest: "d1", isRunning: { _ in false })
        #expect(found?.schedule == meant && found?.time == "1970-01-01T00:00:00.000Z")
        for deadline in [Deadline.after(3_600_000), nil] {
            var other = meant
            other.deadline = deadline
            #expect(Schedule(members: other.members) == other)
        }
        #expect(Schedule(members: .null) == nil && Schedule(members: .object([:])) == nil)
    }

    /// A line of a version before schedules were kept.
    @Test func aLineWithoutAScheduleHasNone() throws {
        try folder.write(
            URL(filePath: folder.home.journalPath).lastPathComponent,
            #"{"digest":"d1","file":"f","key":"k1","process":{"boot_id":"b","pid":1,"start_ticks":1},"#
                + #""time":"t"}"# + "\n"
        )
        let found = journal.unfinished(digest: "d1", isRunning: { _ in false })
        #expect(found?.key == "k1" && found?.schedule == nil)
    }

    /// Finished or not, by whichever process, from the first line on; a refusal forgets it.
    @Test func aKeyOfOnesOwnMeansWhatItMeantTheFirstTime() throws {
        func intend(_ id: String, _ key: String = #"k"1"#, _ digest: String = "d1") throws {
            try journal.recordIntent(
                key: key,
                digest: digest,
                file: "job.json",
                schedule: Schedule(after: [id]),
                unixMs: 0
            )
        }
        func meant(_ digest: String = "d1") -> [String]? {
            journal.intent(key: #"k"1"#, digest: digest)?.schedule?.after
        }
        #expect(meant() == nil)
        try intend("other", "k2")
        try intend("first")
        try journal.recordJob(key: #"k"1"#, jobID: "j1")
        try intend("second")
        #expect(meant() == ["first"] && meant("d2") == nil)
        // Far more than is searched for unfinished ones.
        let other = String(repeating: "x", count: 200)
        for _ in 0..<2000 { try journal.recordJob(key: other, jobID: "j") }
        #expect(meant() == ["first"])
        try journal.recordRefusal(key: #"k"1"#, reason: "no")
        #expect(meant() == nil)
        try intend("third")
        #expect(meant() == ["third"])
    }
}
