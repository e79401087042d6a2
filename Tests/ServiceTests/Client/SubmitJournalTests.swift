internal import Foundation
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
        #expect(journal.unfinishedKey(digest: "d1", isRunning: { _ in false }) == "k1")
        #expect(journal.unfinishedKey(digest: "d2", isRunning: { _ in false }) == nil)
    }

    @Test func leavesTheKeyOfARunningProcessAlone() throws {
        try intend("k1", "d1")
        #expect(journal.unfinishedKey(digest: "d1") == nil)
    }

    @Test func offersNoKeyThatBecameAJobOrWasRefused() throws {
        try intend("k1", "d1")
        try journal.recordJob(key: "k1", jobID: "j1")
        try intend("k2", "d1")
        try journal.recordRefusal(key: "k2", reason: "quota")
        #expect(journal.unfinishedKey(digest: "d1", isRunning: { _ in false }) == nil)
        try intend("k3", "d1")
        #expect(journal.unfinishedKey(digest: "d1", isRunning: { _ in false }) == "k3")
    }

    @Test func survivesALineCutOffByACrash() throws {
        try intend("k1", "d1")
        let handle = try #require(FileHandle(forWritingAtPath: folder.home.journalPath))
        try handle.seekToEnd()
        try handle.write(contentsOf: Array(#"{"key":"k2","dig"#.utf8))
        try handle.close()
        try intend("k3", "d3")
        #expect(journal.unfinishedKey(digest: "d1", isRunning: { _ in false }) == "k1")
        #expect(journal.unfinishedKey(digest: "d3", isRunning: { _ in false }) == "k3")
    }
}
