internal import Foundation
internal import TestProgram
internal import Testing

@testable internal import qat_client

/// What `preprocess` leaves when it is ended amid its work.
@Suite struct PreprocessProcessTests {
    private let folder: TemporaryHome
    private let program: String

    init() throws {
        folder = try TemporaryHome()
        program = try LocalSuiteFixture.programFolder() + "/qat-client"
        try TinyModelFolder().write(to: folder.home.path + "/m")
        let line =
            #"{"text": "the quick brown fox jumps over the lazy dog, and on it goes"}"# + "\n"
        _ = try folder.write("long.jsonl", String(repeating: line, count: 400_000))
        _ = try folder.write("short.jsonl", line)
    }

    private func start(_ text: String) throws -> TestProgram {
        let home = folder.home.path
        return try TestProgram(
            program,
            [
                "preprocess", "--model", "\(home)/m", "--output-prefix", "\(home)/c",
                "\(home)/\(text)",
            ]
        )
    }

    private func names() throws -> Set<String> {
        Set(
            try FileManager.default.contentsOfDirectory(atPath: folder.home.path)
                .filter { $0.hasPrefix("c.") }
        )
    }

    /// Ends it while it writes.
    private func end(by number: Int32) throws -> Int32 {
        let child = try start("long.jsonl")
        while child.isRunning, try !names().contains("c.idx.tmp") { usleep(1000) }
        try #require(child.isRunning, "it was done before it could be ended")
        child.signal(number)
        return child.wait().status
    }

    /// A shell says 130 of Ctrl-C and 143 of SIGTERM.
    ///
    /// What a kill leaves the next run replaces.
    @Test func aSignalTakesWhatIsUnfinishedWithIt() throws {
        for (number, status) in [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 129)] as [(Int32, Int32)] {
            #expect(try end(by: number) == status)
            #expect(try names().isEmpty, "\(number)")
        }
        #expect(try end(by: SIGKILL) == 137)
        #expect(try names() == ["c.bin.tmp", "c.idx.tmp"])
        #expect(try start("short.jsonl").wait().status == 0)
        #expect(try names() == ["c.bin", "c.idx"])
    }

    @Test(arguments: ["", "folder/"])
    func aPrefixNeedsAName(prefix: String) throws {
        let home = folder.home.path
        let outcome = try TestProgram.run(
            program,
            [
                "preprocess", "--model", "\(home)/m", "--output-prefix", prefix,
                "\(home)/short.jsonl",
            ],
            folder: home
        )
        #expect(outcome.status == 2, "\(outcome)")
        #expect(outcome.errors.contains("has no name; expected what PREFIX.bin"), "\(outcome)")
        #expect(!FileManager.default.fileExists(atPath: home + "/.bin"))
    }
}
