internal import ArgumentParser
internal import Foundation
internal import Jobs
internal import Protocol
internal import ServiceKit
internal import Testing

@testable internal import Gateway

/// What the gateway does away with by itself, and when.
struct RetentionSweepTests {
    private static let day: Int64 = 86_400
    private let fixture: StoreFixture
    private let artifacts: ArtifactStore
    private let logs: JobLogStore

    init() throws {
        fixture = try StoreFixture()
        artifacts = try ArtifactStore(root: fixture.folder + "/cas")
        logs = try JobLogStore(folder: fixture.folder + "/logs")
    }

    private func sweep(
        _ configure: (inout RetentionPolicy) -> Void = { _ in }
    ) async throws -> RetentionSweep.Tally {
        var policy = RetentionPolicy()
        configure(&policy)
        return try await RetentionSweep(
            engine: fixture.engine,
            artifacts: artifacts,
            logs: logs,
            policy: policy
        ).run()
    }

    /// A job with ten steps, a log of four bytes, a checkpoint and, if it succeeds, an output.
    private func run(
        _ key: String,
        _ outcome: CompleteLeaseRequest.Outcome = .succeeded
    ) async throws -> String {
        let id = try await fixture.submit(key)
        let lease = try #require(try await fixture.acquire())
        let holder = StoreFixture.holder("train-1", boot: "b1")
        _ = try await fixture.heartbeat(lease, steps: 1...10)
        _ = try logs.append(id, offset: 0, Array("log\n".utf8))
        let state = "state of \(key)"
        try await artifacts.put(state)
        let saved = try await fixture.engine.saveCheckpoint(
            id,
            LeaseClaim(epoch: Int64(lease.epoch), holder: holder),
            Checkpoint(
                step: 10,
                files: [OutputFile(name: "s", digest: .of(state), size: UInt64(state.utf8.count))]
            )
        )
        #expect(saved != nil)
        if outcome == .succeeded { try await artifacts.put("out") }
        #expect(try await fixture.complete(lease, outcome, reason: "USER_ERROR"))
        return id
    }

    @Test func aHistoryKeepsItsStatesAndLosesItsDetails() async throws {
        try await fixture.register()
        let id = try await run("k")
        let whole = try await fixture.events(id)
        fixture.advance(seconds: 14 * Self.day - 1)
        #expect(try await sweep().events == 0)
        #expect(try await fixture.events(id) == whole)
        fixture.advance(seconds: 1)
        #expect(try await sweep().events == 10)
        let states = ["BLOCKED", "QUEUED", "STARTING", "RUNNING", "SUCCEEDED"]
        let left = try await fixture.engine.events(id, after: 0, limit: 100)
        #expect(left.events.map(\.state) == states && left.isOver)
        #expect(left.events == whole.filter { $0.type == .state })
        // Once is enough, until the job runs again.
        #expect(try await sweep().isEmpty)
    }

    /// A training of a small model makes a hundred a second, for weeks.
    @Test func aJobAtWorkKeepsItsNewestEventsAndAllItsStates() async throws {
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        for start in stride(from: UInt64(1), to: 3_000, by: 100) {
            _ = try await fixture.heartbeat(lease, steps: start...start + 99)
        }
        let whole = try await fixture.events(id)
        #expect(whole.count > 3_000)
        #expect(try await sweep { $0.jobEvents = Int64(whole.count) }.isEmpty)
        let gone = try await sweep { $0.jobEvents = 1_200 }.events
        let left = try await fixture.events(id)
        let cut = whole.count - 1_200
        let details = whole.prefix(cut).filter { $0.type != .state }
        #expect(gone == details.count)
        #expect(left == whole.prefix(cut).filter { $0.type == .state } + whole.suffix(1_200))
        // The next round finds only what came since, and it goes on.
        #expect(try await sweep { $0.jobEvents = 1_200 }.isEmpty)
        _ = try await fixture.heartbeat(lease, steps: 3_001...3_001)
        #expect(try await sweep { $0.jobEvents = 1_200 }.events == 1)
        #expect(try await fixture.complete(lease, .succeeded, reason: ""))
    }

    @Test func logsCheckpointsAndJobsGoWhenTheirTimeIsOver() async throws {
        try await fixture.register()
        let failed = try await run("k", .failed)
        let done = try await run("k2")
        // The success left its checkpoint's file; nobody refers to it.
        #expect(try await sweep().artifacts == 1)
        #expect(artifacts.missing([.of("state of k"), .of("out")]).isEmpty)
        fixture.advance(seconds: 14 * Self.day)
        var tally = try await sweep()
        #expect(tally.checkpoints == 1 && tally.artifacts == 1 && tally.jobs == 0)
        #expect(artifacts.missing([.of("state of k"), .of("out")]) == [.of("state of k")])
        #expect(try await fixture.engine.store.job(failed).job.checkpointStep == 0)
        fixture.advance(seconds: 16 * Self.day)
        tally = try await sweep()
        #expect(tally.logs == 2 && tally.logBytes == 8 && tally.jobs == 0)
        #expect(try logs.read(done, offset: 0, count: 9).isEmpty)
        fixture.advance(seconds: 60 * Self.day)
        tally = try await sweep()
        #expect(tally.jobs == 2 && tally.artifacts == 1)
        #expect(try artifacts.digests().isEmpty)
        #expect(try await fixture.engine.list(pageSize: 9, before: nil).jobs.isEmpty)
        // The keys stay taken for a year.
        let again = await #expect(throws: StoreError.self) { try await fixture.submit("k") }
        #expect(again?.code == .alreadyExists)
        fixture.advance(seconds: 366 * Self.day)
        _ = try await sweep()
        #expect(try await fixture.submit("k") != failed)
    }

    @Test func aJobThatIsNotOverOrNeededStaysHoweverOld() async throws {
        try await fixture.register()
        let source = try await run("k")
        let waiting = try await fixture.submit("w", kind: "quantize", model: "job:\(source)")
        let running = try await fixture.submit("r")
        let lease = try #require(try await fixture.acquire())
        fixture.advance(seconds: 1000 * Self.day)
        var crowded = try await sweep { $0.endedJobs = 0 }
        #expect(crowded.jobs == 0)
        for id in [source, waiting, running] { _ = try await fixture.engine.store.job(id) }
        #expect(try await fixture.engine.store.inputs(of: waiting).flatMap(\.files).count == 1)
        // Nor does its log go, however large.
        _ = try logs.append(running, offset: 0, [UInt8](repeating: 65, count: 1000))
        crowded = try await sweep { $0.logBytes = 10 }
        #expect(crowded.logs == 0)
        #expect(try await fixture.heartbeat(lease, steps: 1...2) == .continue)
    }

    @Test func tooManyJobsLogsAndBytesMakeTheOldestGo() async throws {
        try await fixture.register()
        var ids: [String] = []
        for index in 0..<6 {
            ids.append(try await run("k\(index)", .failed))
            fixture.advance(seconds: 60)
        }
        var tally = try await sweep { $0.endedJobs = 5 }
        #expect(tally.jobs == 1)
        tally = try await sweep { $0.logBytes = 12 }
        #expect(tally.logs == 2 && tally.logBytes == 8)
        #expect(try logs.all().map(\.job).sorted() == Array(ids[3...]).sorted())
        // Four checkpoints of eleven bytes have room, of jobs that ended a week ago or more.
        tally = try await sweep { $0.artifactBytes = 50 }
        #expect(tally.jobs == 0)
        fixture.advance(seconds: 7 * Self.day)
        tally = try await sweep { $0.artifactBytes = 50 }
        #expect(tally.jobs == 1 && tally.artifacts == 1 && tally.artifactBytes == 11)
        let left = try await fixture.engine.list(pageSize: 9, before: nil).jobs.map(\.jobID)
        #expect(left == Array(ids[2...].reversed()))
    }

    /// Seen: five jobs of eight days went from a store that was read-only, and nothing was freed.
    @Test func nothingGoesWhereNothingCanBeRemoved() async throws {
        try await fixture.register()
        for index in 0..<4 { _ = try await run("k\(index)", .failed) }
        fixture.advance(seconds: 400 * Self.day)
        // Whoever is root may write everywhere; what is no folder takes no file.
        try FileManager.default.removeItem(atPath: artifacts.root + "/tmp")
        let tally = try await sweep {
            ($0.artifactBytes, $0.endedJobs) = (1, 0)
        }
        #expect(tally.jobs == 0 && tally.checkpoints == 0 && tally.logs == 0)
        #expect(tally.faults.contains { $0.contains("cannot be written") }, "\(tally.faults)")
        #expect(try await fixture.engine.list(pageSize: 9, before: nil).jobs.count == 4)
    }

    /// One file that cannot be removed: the job that held it is gone, and no other goes for its room.
    @Test func jobsDoNotGoForRoomThatIsNotMade() async throws {
        try await fixture.register()
        for index in 0..<4 {
            _ = try await run("k\(index)", .failed)
            fixture.advance(seconds: 60)
        }
        fixture.advance(seconds: 8 * Self.day)
        // In the place of each checkpoint stands what unlink(2) does not take.
        for index in 0..<4 {
            let path = artifacts.path(.of("state of k\(index)"))
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: false
            )
        }
        let tally = try await sweep { $0.artifactBytes = 1 }
        #expect(tally.jobs == 1 && tally.artifacts == 0)
        #expect(tally.faults.contains { $0.contains("no other goes for room") }, "\(tally.faults)")
    }

    /// Seen: one old job that a paused one needed kept 117 MB that nobody needed, for good, and the log said that
    /// it "went".
    @Test func aJobThatCannotGoKeepsNoOtherFromMakingRoom() async throws {
        try await fixture.register()
        let needed = try await run("needed")
        let old = try await run("old", .failed)
        var waiting = try fixture.submission("waiting")
        waiting.after = [needed]
        let user = try await fixture.engine.submit(waiting).id
        #expect(try await fixture.engine.pause(user, by: "ada"))
        let pipeline = try await fixture.engine.submit(try fixture.pipeline("p")).id
        let parts = try await fixture.engine.store.parts(of: pipeline).jobs
        _ = try await fixture.engine.cancel(parts[0].job.id, now: true, by: "ada")
        fixture.advance(seconds: 8 * Self.day)
        let tally = try await sweep { $0.artifactBytes = 1 }
        // The success left its checkpoint's file, which nobody refers to.
        #expect(tally.jobs == 1 && tally.artifacts == 2 && tally.faults.isEmpty, "\(tally)")
        let left = try await fixture.engine.list(pageSize: 9, before: nil).jobs.map(\.jobID)
        #expect(!left.contains(old) && left.contains(needed) && left.count == 4)
        // Nobody needs it any more.
        _ = try await fixture.engine.cancel(user, now: true, by: "ada")
        #expect(try await sweep { $0.artifactBytes = 1 }.jobs == 1)
    }

    /// A job whose files are missing makes no room: it stays, and the next one goes.
    @Test func aJobWithoutItsFilesDoesNotGoForRoom() async throws {
        try await fixture.register()
        let bare = try await run("k0", .failed)
        _ = try await run("k1", .failed)
        fixture.advance(seconds: 8 * Self.day)
        try FileManager.default.removeItem(atPath: artifacts.path(.of("state of k0")))
        let tally = try await sweep { $0.artifactBytes = 1 }
        #expect(tally.jobs == 1 && tally.artifacts == 1 && tally.faults.isEmpty, "\(tally.faults)")
        let left = try await fixture.engine.list(pageSize: 9, before: nil).jobs.map(\.jobID)
        #expect(left == [bare])
    }

    /// A log that stays keeps no other.
    @Test func aLogThatCannotBeRemovedKeepsNoOtherFromGoing() async throws {
        try await fixture.register()
        let stuck = try await run("k0", .failed)
        _ = try await run("k1", .failed)
        fixture.advance(seconds: 31 * Self.day)
        let path = "\(fixture.folder)/logs/\(stuck).log"
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let tally = try await sweep()
        #expect(tally.logs == 1)
        #expect(tally.faults.contains { $0.contains("log of job \(stuck)") }, "\(tally.faults)")
    }

    /// One file that stays keeps none behind it.
    @Test func oneFileThatStaysKeepsNoOtherFromGoing() async throws {
        let texts = (0..<20).map { "garbage \($0)" }
        for text in texts { try await artifacts.put(text) }
        let stuck = artifacts.path(.of(texts[7]))
        try FileManager.default.removeItem(atPath: stuck)
        try FileManager.default.createDirectory(atPath: stuck, withIntermediateDirectories: false)
        let tally = try await sweep()
        #expect(tally.artifacts == 19)
    }

    /// Seen: a user who submitted and cancelled two hundred jobs made the gateway remove all of another's.
    @Test func oneUsersJobsPushOutNobodyElses() async throws {
        try await fixture.register()
        var ada: [String] = []
        for index in 0..<3 { ada.append(try await run("a\(index)", .failed)) }
        var flood: [String] = []
        for index in 0..<9 {
            let id = try await fixture.submit("m\(index)", owner: "mallory")
            try await fixture.engine.cancel(id, now: true, by: "mallory")
            flood.append(id)
        }
        let tally = try await sweep { $0.endedJobs = 6 }
        #expect(tally.jobs == 6)
        let left = try await fixture.engine.list(pageSize: 20, before: nil).jobs.map(\.jobID)
        #expect(Set(left) == Set(ada + flood[6...]))
        #expect(tally.early == ["mallory": .init(jobs: 6, first: flood[0], last: flood[5])])
        #expect(tally.notes.count == 1 && tally.notes[0].contains("mallory"))
    }

    /// Seen: twenty megabytes of one user's uploads took twenty jobs of another along, for two megabytes.
    @Test func oneUsersUploadsPushOutNobodyElses() async throws {
        try await fixture.register()
        let job = try await run("k")
        fixture.advance(seconds: 8 * Self.day)
        let large = String(repeating: "m", count: 1_000)
        try await artifacts.put(large)
        try await fixture.engine.store.grant([
            .init(
                holder: "user/mallory",
                digest: .of(large),
                size: 1_000,
                brought: fixture.engine.now.unix
            )
        ])
        // Checkpoint and output of the job are a hundredth of it; the upload is too new to go.
        let tally = try await sweep { $0.artifactBytes = 500 }
        #expect(tally.jobs == 0 && tally.early.isEmpty && tally.faults.isEmpty)
        #expect(try await fixture.engine.store.job(job).job.state == .succeeded)
    }

    /// Seen: one event that could not be read, and nothing was removed or collected any more.
    @Test func damageToOneJobKeepsTheRoundFromNoOther() async throws {
        try await fixture.register()
        var ids: [String] = []
        for index in 0..<4 { ids.append(try await run("k\(index)", .failed)) }
        try await fixture.execute(
            "UPDATE event SET body = x'ffffffff' WHERE job = '\(ids[0])' AND seq = 7"
        )
        // Its checkpoint cannot be read, nor can the row of the next one.
        try await fixture.execute(
            "UPDATE checkpoint_file SET digest = x'00' WHERE job = '\(ids[0])'"
        )
        try await fixture.execute("UPDATE job SET kind = 'bogus' WHERE id = '\(ids[1])'")
        fixture.advance(seconds: 20 * Self.day)
        let tally = try await sweep()
        #expect(tally.events == 30 && tally.checkpoints == 2)
        #expect(tally.faults.count == 1 && tally.faults.first?.contains(ids[0]) == true)
        let crowded = try await sweep { $0.endedJobs = 1 }
        #expect(crowded.jobs == 3)
        let left = try await fixture.engine.list(pageSize: 9, before: nil).jobs.map(\.jobID)
        #expect(left == [ids[1]])
    }

    private func pipeline(_ key: String) async throws -> (id: String, jobs: [String]) {
        let id = try await fixture.engine.submit(try fixture.pipeline(key)).id
        return (id, try await fixture.engine.pipeline(id).jobs.map(\.jobID))
    }

    /// Seen: the failed job of a pipeline was removed, and the pipeline had SUCCEEDED.
    @Test func aPipelineGoesWholeAndNoStateOfOneGetsBetter() async throws {
        try await fixture.register()
        try await artifacts.put("out")
        let (id, jobs) = try await pipeline("p")
        var lease = try #require(try await fixture.acquire())
        #expect(try await fixture.complete(lease, .failed, reason: "USER_ERROR"))
        let failed = lease.jobID
        fixture.advance(seconds: Self.day)
        lease = try #require(try await fixture.acquire())
        let error = await #expect(throws: StoreError.self) {
            try await fixture.engine.remove(failed)
        }
        #expect(error?.code == .invalidState && error?.message.contains("jobs rm \(id)") == true)
        // Neither its age nor a crowd takes the one from the other, which runs.
        fixture.advance(seconds: 90 * Self.day)
        #expect(try await sweep { $0.endedJobs = 0 }.jobs == 0)
        #expect(try await fixture.complete(lease))
        #expect(try await sweep().jobs == 0)
        #expect(try await fixture.engine.pipeline(id).summary.state == "FAILED")
        #expect(try await fixture.engine.pipeline(id).jobs.map(\.jobID) == jobs)
        fixture.advance(seconds: 90 * Self.day)
        #expect(try await sweep().jobs == 2)
        await #expect(throws: StoreError.self) { try await fixture.engine.pipeline(id) }
    }

    @Test func aCrowdTakesWholePipelines() async throws {
        try await fixture.register()
        try await artifacts.put("out")
        _ = try await pipeline("p")
        for _ in 0..<2 {
            let lease = try #require(try await fixture.acquire())
            #expect(try await fixture.complete(lease))
            fixture.advance(seconds: 60)
        }
        let last = try await run("k", .failed)
        // One too many: the two that belong together go.
        #expect(try await sweep { $0.endedJobs = 2 }.jobs == 2)
        #expect(try await fixture.engine.list(pageSize: 9, before: nil).jobs.map(\.jobID) == [last])
    }

    @Test func aLogKeepsToItsLimitsAndItsWriterGoesOn() throws {
        let small = try JobLogStore(
            folder: fixture.folder + "/small",
            byteLimit: 10,
            totalLimit: 15
        )
        let eight = [UInt8](repeating: 65, count: 8)
        #expect(try small.append("a", offset: 0, eight) == 8)
        // What does not fit is dropped, and the writer is told to go on behind it.
        #expect(try small.append("a", offset: 8, eight) == 16)
        #expect(try small.append("a", offset: 16, eight) == 24)
        #expect(try small.append("b", offset: 0, eight) == 8)
        #expect(try small.read("b", offset: 0, count: 9).isEmpty)
        #expect(try small.remove("a") == 8)
        #expect(try small.append("b", offset: 0, eight) == 8)
        #expect(try small.all().map(\.bytes) == [8])
        // Counted anew at a start.
        let again = try JobLogStore(folder: fixture.folder + "/small", totalLimit: 15)
        #expect(try again.append("c", offset: 0, eight) == 8)
        #expect(try again.read("c", offset: 0, count: 9).isEmpty)
    }

    @Test(arguments: [
        ("keep-jobs", "0d"), ("keep-jobs", "90"), ("keep-jobs", "36501d"), ("keep-logs", "-1d"),
        ("keep-uploads", "1h"), ("keep-uploads", ""), ("max-jobs", "0"), ("max-jobs", "many"),
        ("max-logs", "4"), ("max-logs", "4 G"), ("max-artifacts", "101%"),
        ("max-artifacts", "9999999999999G"),
    ])
    func aSettingThatIsNoneIsRefusedByItsName(_ setting: (key: String, value: String)) throws {
        let options = try RetentionOptions.parse([])
        let error = #expect(throws: ServiceError.self) {
            try options.policy([setting.key: setting.value], folder: "/")
        }
        #expect(error?.code == .invalidConfiguration)
        #expect("\(error.map { "\($0)" } ?? "")".contains("--\(setting.key)"))
    }

    @Test func aFlagGoesBeforeWhatTheFileSays() throws {
        let options = try RetentionOptions.parse(["--keep-jobs", "5d", "--max-artifacts", "2G"])
        let policy = try options.policy(["keep-jobs": "6d", "keep-logs": "12h"], folder: "/")
        #expect(policy.jobs == 5 * Self.day * 1000 && policy.logs == 12 * 3_600_000)
        #expect(policy.artifactBytes == 2 << 30)
        #expect(policy.uploads == 7 * Self.day * 1000)
    }
}
