internal import Foundation
internal import Logging
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// What jobs left on a worker's disk goes when the gateway says that nobody needs it: after a week, or
/// when there is no room.
@Suite(.timeLimit(.minutes(5)))
struct LeftoversTests {
    private let home: TemporaryHome
    private var root: String { home.home.path + "/jobs" }

    init() throws { home = try TemporaryHome() }

    private final class Word: Sendable {
        let asked = Mutex<[[KeptJob]]>([])
    }

    private func keep(_ job: String, _ names: [String], days: Double) throws {
        for name in names { try home.write("jobs/\(job)/\(name)", "x") }
        let manager = FileManager.default
        let path = "\(root)/\(job)"
        let within = try #require(manager.enumerator(atPath: path)?.compactMap { $0 as? String })
        for name in within.map({ "\(path)/\($0)" }) + [path] {
            let date = Date.now.addingTimeInterval(-days * 86_400)
            try manager.setAttributes([.modificationDate: date], ofItemAtPath: name)
        }
    }

    private var left: Set<String> {
        Set((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? [])
    }

    /// Leftovers of which a gateway says what is given.
    private func leftovers(
        stored: [String] = [],
        over: [String] = [],
        _ word: Word = Word()
    ) -> Leftovers {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return Leftovers(JobFolders(root: root), logger: logger) { jobs in
            word.asked.withLock { $0.append(jobs) }
            return ReviewKeptResponse(stored: stored, over: over)
        }
    }

    private static func checkpoint(_ step: Int) -> String {
        "checkpoints/step-0000000\(step)/manifest.json"
    }

    @Test func theGatewayIsToldWhatIsKept() async throws {
        try keep("a", [Self.checkpoint(2), Self.checkpoint(4)], days: 2)
        try keep("b", ["finished.json", "output/m"], days: 1)
        let word = Word()
        await leftovers(word).makeRoom { false }
        let expected = [KeptJob(jobID: "a", step: 4), KeptJob(jobID: "b", isFinished: true)]
        #expect(word.asked.withLock { $0 } == [expected])
        #expect(left == ["a", "b"])
    }

    /// Seen: behind 256 folders that were needed nothing was ever asked about, nor removed.
    @Test func allIsAskedAboutHoweverMuchItIs() async throws {
        // One question names 256 jobs at most: proto/qat/v1/lease.proto.
        let count = 600
        for index in 0..<count {
            try home.write("jobs/j\(index)/\(Self.checkpoint(1))", "x")
            try FileManager.default.setAttributes(
                [.modificationDate: Date.now.addingTimeInterval(Double(index) - 86_400)],
                ofItemAtPath: "\(root)/j\(index)/\(Self.checkpoint(1))"
            )
        }
        let all = Set((0..<count).map { "j\($0)" })
        let word = Word()
        let kept = leftovers(stored: ["j599", "j300"], over: ["j0", "j256"], word)
        await kept.makeRoom { false }
        let asked = word.asked.withLock { $0.map { $0.map(\.jobID) } }
        #expect(asked.allSatisfy { (1...256).contains($0.count) })
        #expect(asked.flatMap { $0 }.count == count && Set(asked.joined()) == all)
        #expect(left == all.subtracting(["j599", "j300", "j0", "j256"]))
    }

    /// What was said before a gateway stopped answering holds.
    @Test func aGatewayThatStopsAnsweringHasSpokenOfSome() async throws {
        for index in 0..<300 { try home.write("jobs/j\(index)/\(Self.checkpoint(1))", "x") }
        let asked = Mutex(0)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let kept = Leftovers(JobFolders(root: root), logger: logger) { jobs in
            let isFirst = asked.withLock { count in
                count += 1
                return count == 1
            }
            guard isFirst else { throw RPCError(.unavailable, "gone") }
            return ReviewKeptResponse(stored: jobs.map(\.jobID))
        }
        await kept.makeRoom { false }
        #expect(asked.withLock { $0 } == 2 && left.count == 300 - 256)
    }

    /// Seen: four cancelled jobs filled a disk, and the worker took none, although all was stored.
    @Test func roomIsMadeFromWhatNobodyNeeds() async throws {
        for (index, job) in ["over", "old", "needed", "new"].enumerated() {
            try keep(job, [Self.checkpoint(1)], days: Double(4 - index))
        }
        let kept = leftovers(stored: ["new", "old"], over: ["over"])
        await kept.makeRoom { true }
        #expect(left.count == 4)
        await kept.makeRoom { !left.contains("old") }
        #expect(left == ["over", "needed", "new"])
        // What the store has goes before what is here alone.
        await kept.makeRoom { !left.contains("new") }
        #expect(left == ["over", "needed"])
        await kept.makeRoom { false }
        #expect(left == ["needed"])
    }

    @Test func aGatewayThatDoesNotAnswerSaysNothing() async throws {
        try keep("a", [Self.checkpoint(1)], days: 9)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let kept = Leftovers(JobFolders(root: root), logger: logger) { _ in
            throw RPCError(.unimplemented, "what?", processed: .no)
        }
        await kept.makeRoom { false }
        await kept.removeUntouched()
        await kept.removeUntouched(
            now: .now.addingTimeInterval(2 * 86_400),
            elapsed: .seconds(2 * 86_400)
        )
        #expect(left == ["a"])
    }

    @Test func onlyWhatAnAttemptGoesOnWithStays() throws {
        let half = ["checkpoints/.tmp-step-00000004/m", "checkpoints/.incoming/m"]
        try keep("a", [Self.checkpoint(1), "inputs/0/m", "output/m", "upload/x"] + half, days: 1)
        try keep("b", ["finished.json", "output/m", "inputs/0/m"], days: 1)
        leftovers().strip()
        func names(_ job: String) throws -> Set<String> {
            Set(try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(job)"))
        }
        #expect(try names("a") == ["checkpoints"])
        #expect(try names("a/checkpoints").allSatisfy { !$0.hasPrefix(".") })
        #expect(try names("b") == ["finished.json", "output"])
    }

    /// Seen: the rule was applied at a start and after a job only, so that a worker that takes none kept
    /// everything; and a folder's own date is that of its first checkpoint.
    @Test func whatIsUntouchedForAWeekGoes() async throws {
        for job in ["stored", "over", "needed", "new"] {
            try keep(job, [Self.checkpoint(1)], days: 8)
        }
        let kept = leftovers(stored: ["stored", "new"], over: ["over"])
        try keep("fresh", [Self.checkpoint(1)], days: 0)
        try home.write("jobs/new/\(Self.checkpoint(2))", "x")
        try FileManager.default.setAttributes(
            [.modificationDate: Date.now.addingTimeInterval(-8 * 86_400)],
            ofItemAtPath: root + "/new"
        )
        await kept.removeUntouched()
        #expect(left == ["needed", "new", "fresh"])
    }

    /// Seen: a worker that was started with a clock eight days ahead removed the newest checkpoint.
    @Test func aClockThatIsAheadAtTheStartMakesNothingOld() async throws {
        try keep("a", [Self.checkpoint(1)], days: 0)
        let kept = leftovers(over: ["a"])
        let jump = 8 * 86_400.0
        func look(_ seconds: Double) async {
            await kept.removeUntouched(
                now: .now.addingTimeInterval(jump + seconds),
                elapsed: .seconds(seconds)
            )
        }
        await look(0)
        await look(86_000)
        #expect(left == ["a"])
        // It is right, then: nobody has set it back for a day.
        await look(86_401)
        #expect(left == [])
    }

    @Test func aClockThatJumpsMakesNothingOld() async throws {
        try keep("a", [Self.checkpoint(1)], days: 0)
        let kept = leftovers(over: ["a"])
        await kept.removeUntouched(elapsed: .zero)
        let jump = 8 * 86_400.0
        await kept.removeUntouched(now: .now.addingTimeInterval(jump), elapsed: .seconds(20))
        #expect(left == ["a"])
        // It was set right again.
        await kept.removeUntouched(now: .now.addingTimeInterval(40), elapsed: .seconds(40))
        #expect(left == ["a"])
        let week = 8 * 86_400.0
        await kept.removeUntouched(now: .now.addingTimeInterval(week), elapsed: .seconds(week))
        #expect(left == [])
    }

    /// Seen: a worker without room emptied its cache only, and took no job until somebody logged in.
    @Test func aWorkerWithoutRoomMakesSomeBeforeItTakesNothing() async throws {
        let gateway = try LeaseGateway()
        gateway.state.withLock { $0.review = ReviewKeptResponse(stored: ["a"]) }
        let jobs = gateway.folder.home.path + "/state/jobs"
        try gateway.folder.write("state/jobs/a/\(Self.checkpoint(1))", "x")
        try gateway.folder.write("state/jobs/b/\(Self.checkpoint(1))", "x")
        let room = DiskRoom(path: jobs) { jobs in
            FileManager.default.fileExists(atPath: jobs + "/a") ? 0 : 1 << 30
        }
        try await gateway.idle(room: room) { !$0.waits.isEmpty }
        #expect(gateway.state.withLock { $0.waits.first?.obstacle } == "")
        #expect(try FileManager.default.contentsOfDirectory(atPath: jobs) == ["b"])
    }

    /// A checkpoint that came from the gateway lies in the cache and in the job's folder: both go.
    @Test(.enabled(if: FullDiskVolume.canBeMade))
    func whatTheCacheHoldsTooMakesRoom() async throws {
        let volume = try FullDiskVolume(byteCount: 1 << 20)
        defer { volume.remove() }
        let gateway = try LeaseGateway()
        gateway.state.withLock { $0.review = ReviewKeptResponse(stored: ["a"]) }
        let (cached, job) = (volume.path + "/cache/f", volume.path + "/jobs/a/checkpoints")
        let manager = FileManager.default
        for folder in [volume.path + "/cache", job + "/step-00000001"] {
            try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        try Data("x".utf8).write(to: URL(fileURLWithPath: cached))
        try manager.linkItem(atPath: cached, toPath: job + "/step-00000001/m")
        let room = DiskRoom(path: cached) {
            FileManager.default.fileExists(atPath: $0) ? 0 : 1 << 30
        }
        try await gateway.idle(room: room, folder: volume.path) { !$0.waits.isEmpty }
        #expect(gateway.state.withLock { $0.waits.first?.obstacle } == "")
        #expect(!manager.fileExists(atPath: job) && !manager.fileExists(atPath: cached))
    }

    /// Seen: a week was over, and nothing happened until the daemon was started again.
    @Test(arguments: [UInt64(0), 1 << 30])
    func aWorkerThatWaitsOrHasNoRoomLooksForWhatIsOld(free: UInt64) async throws {
        let gateway = try LeaseGateway()
        gateway.state.withLock { $0.review = ReviewKeptResponse(over: ["a"]) }
        let jobs = gateway.folder.home.path + "/state/jobs"
        try gateway.folder.write("state/jobs/b/\(Self.checkpoint(1))", "x")
        let isLate = Mutex(false)
        try await gateway.idle(room: DiskRoom(path: jobs) { _ in free }) { state in
            if isLate.withLock({ $0 }) {
                return !FileManager.default.fileExists(atPath: jobs + "/a")
            }
            guard !state.waits.isEmpty else { return false }
            // It is at work, and what lies there is old all at once.
            let file = "\(jobs)/a/\(Self.checkpoint(1))"
            _ = try? gateway.folder.write("state/jobs/a/\(Self.checkpoint(1))", "x")
            var path = file
            while path != jobs {
                try? FileManager.default.setAttributes(
                    [.modificationDate: Date.now.addingTimeInterval(-9 * 86_400)],
                    ofItemAtPath: path
                )
                path = (path as NSString).deletingLastPathComponent
            }
            isLate.withLock { $0 = true }
            return false
        }
        #expect(gateway.state.withLock { $0.waits.first?.obstacle.isEmpty } == (free > 0))
        #expect(try FileManager.default.contentsOfDirectory(atPath: jobs) == ["b"])
    }
}
