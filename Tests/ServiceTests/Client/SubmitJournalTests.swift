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
        try journal.record(.init(key: key, digest: digest, file: "job.json", unixMs: 0))
    }

    @Test func offersTheKeyOfALostSubmission() throws {
        try intend("k1", "d1")
        #expect(journal.unfinished(.init("d1"), isRunning: { _ in false })?.key == "k1")
        #expect(journal.unfinished(.init("d2"), isRunning: { _ in false })?.key == nil)
    }

    @Test func leavesTheKeyOfARunningProcessAlone() throws {
        try intend("k1", "d1")
        #expect(journal.unfinished(.init("d1"))?.key == nil)
    }

    @Test func offersNoKeyThatBecameAJobOrWasRefused() throws {
        try intend("k1", "d1")
        try journal.recordJob(key: "k1", jobID: "j1")
        try intend("k2", "d1")
        try journal.recordRefusal(key: "k2", digest: "d1", reason: "quota")
        #expect(journal.unfinished(.init("d1"), isRunning: { _ in false })?.key == nil)
        try intend("k3", "d1")
        #expect(journal.unfinished(.init("d1"), isRunning: { _ in false })?.key == "k3")
    }

    /// Seen: with the state folder made anew elsewhere, ids of the other gateway were sent.
    @Test func whatWentToAnotherGatewayIsNotKnown() throws {
        func journal(_ gateway: String, _ caller: String = "/ada.pem") -> SubmitJournal {
            SubmitJournal(folder.home, place: .init(gateway: gateway, caller: caller))
        }
        let own = journal("127.0.0.1:7443")
        let entry = SubmitJournal.Entry(
            key: "k1",
            isOwnKey: true,
            digest: "d1",
            file: "job.json",
            unixMs: 0
        )
        try own.record(entry)
        let lost = SubmitJournal.Entry(key: "k2", digest: "d2", file: "job.json", unixMs: 0)
        try own.record(lost)
        // By whatever name the machine goes.
        for same in [own, journal("localhost:7443"), journal("[::1]:7443")] {
            #expect(same.unfinished(.init("d2"), isRunning: { _ in false })?.key == "k2")
            // A key of one's own is not gone on with unasked.
            #expect(same.unfinished(.init("d1"), isRunning: { _ in false }) == nil)
            #expect(same.intent(key: "k1", .init("d1")) != nil)
        }
        for other in [journal("10.0.0.1:7443"), journal("127.0.0.1:7443", "/bob.pem")] {
            #expect(other.intent(key: "k1", .init("d1")) == nil)
            // What another user's submission ends as is no end of this one's.
            try other.recordRefusal(key: "k1", isOwnKey: true, digest: "d1", reason: "no")
        }
        #expect(own.intent(key: "k1", .init("d1")) != nil)
    }

    /// A refusal of something else under the key keeps nobody from what is unfinished.
    @Test func aRefusalIsOfWhatWasRefused() throws {
        try intend("k1", "d1")
        try journal.recordRefusal(key: "k1", digest: "d2", reason: "another one")
        #expect(journal.unfinished(.init("d1"), isRunning: { _ in false })?.key == "k1")
    }

    @Test func survivesALineCutOffByACrash() throws {
        try intend("k1", "d1")
        let handle = try #require(FileHandle(forWritingAtPath: folder.home.journalPath))
        try handle.seekToEnd()
        try handle.write(contentsOf: Array(#"{"key":"k2","dig"#.utf8))
        try handle.close()
        try intend("k3", "d3")
        #expect(journal.unfinished(.init("d1"), isRunning: { _ in false })?.key == "k1")
        #expect(journal.unfinished(.init("d3"), isRunning: { _ in false })?.key == "k3")
    }

    /// What `latest` and a time of day meant is sent again, not what they mean by now.
    @Test func keepsWhatWordsMeant() throws {
        let meant = Schedule(
            after: ["00aa000000000001"],
            priority: -5,
            deadline: .at(1_795_800_000_000),
            reuse: true
        )
        try journal.record(
            .init(key: "k1", digest: "d1", file: "job.json", schedule: meant, unixMs: 0)
        )
        let found = journal.unfinished(.init("d1"), isRunning: { _ in false })
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
            #"{"digest":"d1","file":"f","key":"01a21eaf-880e-7965-8000-000000000001","process":{"boot_id":"b","pid":1,"start_ticks":1},"#
                + #""time":"t"}"# + "\n"
        )
        // It is found by the digest of its time, too, which lines of today are not.
        for isEarlier in [false, true] {
            let digest = SubmitJournal.Digest("d1", isEarlier: isEarlier)
            let found = journal.unfinished(digest, isRunning: { _ in false })
            #expect(found?.key.hasSuffix("0001") == true && found?.schedule == nil)
        }
        try intend("k2", "d2")
        let today = SubmitJournal.Digest("d2", isEarlier: true)
        #expect(journal.unfinished(today, isRunning: { _ in false }) == nil)
    }

    /// Finished or not, by whichever process, from the first line on; a refusal forgets it.
    @Test func aKeyOfOnesOwnMeansWhatItMeantTheFirstTime() throws {
        func intend(_ id: String, _ key: String = #"k"1"#, _ digest: String = "d1") throws {
            try journal.record(
                .init(
                    key: key,
                    isOwnKey: true,
                    digest: digest,
                    file: "job.json",
                    schedule: Schedule(after: [id]),
                    unixMs: 0
                )
            )
        }
        func meant(_ digest: String = "d1") -> [String]? {
            journal.intent(key: #"k"1"#, .init(digest))?.schedule?.after
        }
        #expect(meant() == nil)
        try intend("other", "k2")
        try intend("first")
        try journal.recordJob(key: #"k"1"#, jobID: "j1")
        try intend("second")
        #expect(meant() == ["first"] && meant("d2") == nil)
        // Repeated, it takes no more room than it took.
        let keys = folder.home.keysPath
        func room() throws -> [Int] {
            try FileManager.default.contentsOfDirectory(atPath: keys).sorted().compactMap {
                try FileManager.default.attributesOfItem(atPath: "\(keys)/\($0)")[.size] as? Int
            }
        }
        let before = try room()
        for _ in 0..<20 { try intend("again") }
        #expect(try room() == before && meant() == ["first"])
        // What was refused was something else: the key stays what it was.
        try journal.recordRefusal(key: #"k"1"#, isOwnKey: true, digest: "d2", reason: "no")
        #expect(meant() == ["first"])
        try journal.recordRefusal(key: #"k"1"#, isOwnKey: true, digest: "d1", reason: "no")
        #expect(meant() == nil)
        try intend("third")
        #expect(meant() == ["third"])
    }

    /// Seen: after 600 others a lost submission was forgotten, and its repeat made a second job; and the file
    /// was never shortened.
    @Test func staysSmallAndForgetsNothingUnfinished() throws {
        func size() throws -> Int {
            let path = folder.home.journalPath
            return try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        }
        try intend("lost", "d1")
        // As a version before left it: what a key of one's own meant, here alone.
        let own =
            #"{"key":"mine","digest":"d9","file":"f","time":"t"}"# + "\n"
            + #"{"key":"mine","job_id":"j"}"# + "\n"
        let line =
            #"{"key":"01a21eaf-880e-7965-8000-000000000000","job_id":"j","pad":"\#(String(repeating: "x", count: 400))"}"#
        let handle = try #require(FileHandle(forWritingAtPath: folder.home.journalPath))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(own.utf8))
        for _ in 0..<3000 { try handle.write(contentsOf: Data((line + "\n").utf8)) }
        try handle.close()
        #expect(try size() > 1 << 20)
        #expect(journal.unfinished(.init("d1"), isRunning: { _ in false })?.key == "lost")
        try journal.recordJob(key: "new", jobID: "j")
        #expect(try size() < 4096)
        #expect(journal.unfinished(.init("d1"), isRunning: { _ in false })?.key == "lost")
        #expect(journal.intent(key: "mine", .init("d9")) != nil)
        // What is refused under such a key hides nothing of it.
        try journal.recordRefusal(key: "mine", isOwnKey: true, digest: "d8", reason: "no")
        #expect(journal.intent(key: "mine", .init("d9")) != nil)
    }

    /// Seen: a client read a link to /dev/full until it had all memory.
    @Test func whatHasNoEndIsNotRead() throws {
        try FileManager.default.createSymbolicLink(
            atPath: folder.home.journalPath,
            withDestinationPath: "/dev/zero"
        )
        #expect(journal.unfinished(.init("d1")) == nil)
        #expect(journal.intent(key: "k", .init("d1")) == nil)
    }
}
