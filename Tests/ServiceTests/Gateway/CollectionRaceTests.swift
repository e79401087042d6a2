internal import Foundation
internal import Jobs
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import Gateway

/// Users upload, submit and remove, a worker leases, saves and completes, time passes, and everything that
/// is collected is collected, all at once: nothing goes that the definition keeps.
///
/// The definition: what is brought or asked for stays for a week; what a job refers to stays as long as
/// the job. In the end everything else is gone.
@Suite(.serialized) struct CollectionRaceTests {
    private static let hour: Int64 = 3_600
    private static let grace: Int64 = 7 * 24 * 3_600 * 1000
    /// Few contents, so that everybody's are the same ones.
    private static let contents = (0..<10).map { "content \($0)" }

    /// What went wrong, and what was done.
    private struct Journal {
        var faults: [String] = []
        var counts: [String: Int] = [:]
    }

    private final class Record: Sendable {
        private let journal = Mutex(Journal())
        private let isOver = Mutex(false)

        var faults: [String] { journal.withLock { $0.faults } }
        var counts: [String: Int] { journal.withLock { $0.counts } }
        var isDone: Bool { isOver.withLock { $0 } }

        func has(_ count: Int, of what: [String]) -> Bool {
            let counts = counts
            return what.allSatisfy { counts[$0, default: 0] >= count }
        }

        func fail(_ message: String) { journal.withLock { $0.faults.append(message) } }
        func count(_ what: String) { journal.withLock { $0.counts[what, default: 0] += 1 } }
        func end() { isOver.withLock { $0 = true } }
    }

    private struct Scene: Sendable {
        let gateway: GatewayFixture
        let record: Record

        var now: Int64 { gateway.jobs.engine.now.unix }

        /// A check of the definition: what was kept at `since` is there, or its time is over.
        func expect(_ text: String, since: Int64, _ what: String) {
            let isThere = gateway.artifacts.size(.of(text)) != nil
            if !isThere, now - since < CollectionRaceTests.grace {
                record.fail("\(text) went after it was \(what)")
            }
        }
    }

    /// What must happen so often before a life is over.
    private static let wanted = ["put", "submit", "complete", "save", "remove", "collected"]

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func nothingGoesThatIsNeeded(seed: UInt64) async throws {
        try await GatewayFixture.run { gateway in
            let scene = Scene(gateway: gateway, record: Record())
            let worker = try await gateway.worker(.quant, "quant-1")
            let users = try (0..<3).map { try gateway.user("user\($0)") }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, user) in users.enumerated() {
                    group.addTask {
                        try await Self.use(scene, user, SplitMix(state: seed * 100 + UInt64(index)))
                    }
                }
                group.addTask {
                    try await Self.work(scene, worker, SplitMix(state: seed * 100 + 9))
                }
                group.addTask { try await Self.collect(scene, SplitMix(state: seed * 100 + 8)) }
                // On a busy machine little happens in a second.
                for _ in 0..<600 where !scene.record.has(10, of: Self.wanted) {
                    try await Task.sleep(for: .milliseconds(200))
                }
                try await Task.sleep(for: .seconds(1))
                scene.record.end()
                try await group.waitForAll()
            }
            #expect(scene.record.faults.isEmpty, "seed \(seed): \(scene.record.faults.prefix(5))")
            try await Self.check(scene)
            // The test tests something.
            #expect(scene.record.has(10, of: Self.wanted), "seed \(seed): \(scene.record.counts)")
        }
    }

    /// Submits, and removes jobs that are over, or makes them be over.
    private static func use(_ scene: Scene, _ client: RPCClient, _ seed: SplitMix) async throws {
        var random = seed
        var ids: [String] = []
        var round = 0
        while !scene.record.isDone {
            if ids.count > 2, let id = ids.randomElement(using: &random) {
                if Bool.random(using: &random) {
                    _ = try await client.call(QatMethods.cancelJob, CancelJobRequest(jobID: id))
                }
                do {
                    _ = try await client.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
                    ids.removeAll { $0 == id }
                    scene.record.count("remove")
                } catch let error as RPCError where error.code == .failedPrecondition {
                }
            }
            guard ids.count < 6 else { continue }
            round += 1
            if let id = try await submit(scene, client, round, &random) { ids.append(id) }
        }
    }

    /// Uploads or asks, waits a little, submits.
    private static func submit(
        _ scene: Scene,
        _ client: RPCClient,
        _ round: Int,
        _ random: inout SplitMix
    ) async throws -> String? {
        let text = contents.randomElement(using: &random) ?? ""
        let since = scene.now
        let missing = try await client.call(
            QatMethods.findMissing,
            FindMissingRequest(digests: [.of(text)])
        )
        if !missing.digests.isEmpty {
            try await scene.gateway.put(text, client)
            scene.record.count("put")
        }
        scene.expect(text, since: since, "brought or asked for")
        for _ in 0..<Int.random(in: 0..<20, using: &random) { await Task.yield() }
        do {
            let id = try await scene.gateway.submit(
                client,
                key: "k\(round)",
                text: text,
                uploads: false
            )
            scene.record.count("submit")
            if scene.gateway.artifacts.size(.of(text)) == nil {
                scene.record.fail("\(text) is not there for job \(id)")
            }
            return id
        } catch let error as RPCError where error.code == .failedPrecondition {
            if scene.now - since < grace { scene.record.fail("submit: \(error.message)") }
            return nil
        }
    }

    /// Leases, reads the inputs, saves checkpoints and completes, with contents that others have, too.
    private static func work(_ scene: Scene, _ client: RPCClient, _ seed: SplitMix) async throws {
        var random = seed
        while !scene.record.isDone {
            guard
                let lease = try await client.call(
                    QatMethods.acquireLease,
                    AcquireLeaseRequest(instance: "quant-1", bootID: "b1")
                ).lease
            else {
                try await Task.sleep(for: .milliseconds(1))
                continue
            }
            for file in lease.inputs.flatMap(\.files) {
                do {
                    _ = try await scene.gateway.get(file.digest, client)
                } catch {
                    scene.record.fail("job \(lease.jobID) is leased without its input: \(error)")
                }
            }
            for step in 1...UInt64.random(in: 1...3, using: &random) {
                try await save(scene, client, lease, step, &random)
            }
            try await complete(scene, client, lease, &random)
        }
    }

    /// Brings a file that may be there already, as workers do; returns when, and what.
    private static func bring(
        _ scene: Scene,
        _ client: RPCClient,
        _ random: inout SplitMix
    ) async throws -> (since: Int64, file: OutputFile) {
        let text = contents.randomElement(using: &random) ?? ""
        let since = scene.now
        let missing = try await client.call(
            QatMethods.findMissing,
            FindMissingRequest(digests: [.of(text)])
        )
        if !missing.digests.isEmpty { try await scene.gateway.put(text, client) }
        let size = UInt64(text.utf8.count)
        return (since, OutputFile(name: "state", digest: .of(text), size: size))
    }

    private static func save(
        _ scene: Scene,
        _ client: RPCClient,
        _ lease: Lease,
        _ step: UInt64,
        _ random: inout SplitMix
    ) async throws {
        let (since, file) = try await bring(scene, client, &random)
        do {
            let answer = try await client.call(
                QatMethods.saveCheckpoint,
                SaveCheckpointRequest(
                    jobID: lease.jobID,
                    epoch: lease.epoch,
                    instance: "quant-1",
                    bootID: "b1",
                    checkpoint: Checkpoint(step: step, files: [file])
                )
            )
            scene.record.count("save")
            if answer.accepted, scene.gateway.artifacts.size(file.digest) == nil {
                scene.record.fail("the checkpoint of job \(lease.jobID) is not there")
            }
        } catch let error as RPCError where error.code == .failedPrecondition {
            if scene.now - since < grace { scene.record.fail("save: \(error.message)") }
        }
    }

    private static func complete(
        _ scene: Scene,
        _ client: RPCClient,
        _ lease: Lease,
        _ random: inout SplitMix
    ) async throws {
        let isSuccess = Bool.random(using: &random)
        let (since, file) = try await bring(scene, client, &random)
        do {
            let answer = try await client.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(
                    jobID: lease.jobID,
                    epoch: lease.epoch,
                    outcome: isSuccess ? .succeeded : .failed,
                    reason: isSuccess ? "" : "USER_ERROR",
                    outputs: isSuccess ? [file] : [],
                    bootID: "b1"
                )
            )
            if answer.accepted { scene.record.count("complete") }
        } catch let error as RPCError where error.code == .failedPrecondition {
            if scene.now - since < grace { scene.record.fail("complete: \(error.message)") }
            // The lease is over all the same.
            _ = try await client.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(
                    jobID: lease.jobID,
                    epoch: lease.epoch,
                    outcome: .cancelled,
                    bootID: "b1"
                )
            )
        }
    }

    /// Lets time pass, and collects.
    private static func collect(_ scene: Scene, _ seed: SplitMix) async throws {
        var random = seed
        let engine = scene.gateway.jobs.engine
        let collector = ArtifactCollector(engine: engine, artifacts: scene.gateway.artifacts)
        while !scene.record.isDone {
            scene.gateway.jobs.advance(seconds: .random(in: 1...60 * hour, using: &random))
            let all = Set(contents.map(SHA256Digest.of))
            let gone = try await collector.collect(
                all,
                GrantExpiry(before: engine.now.unix - grace)
            )
            for _ in gone { scene.record.count("collected") }
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...3, using: &random)))
        }
    }

    /// Every job has what it refers to; once no job is left and time has passed, nothing is stored.
    private static func check(_ scene: Scene) async throws {
        let engine = scene.gateway.jobs.engine
        let logs = try JobLogStore(folder: scene.gateway.jobs.folder + "/logs")
        var jobs: [StoredJob] = []
        try await engine.forEach(in: JobState.allCases) { jobs.append($0) }
        for id in jobs.map(\.job.id) {
            let inputs = try await engine.store.inputs(of: id).flatMap(\.files).map(\.digest)
            let outputs = try await engine.store.outputs(of: id).map(\.digest)
            let checkpoint = try await engine.store.checkpoint(of: id).map(\.digest)
            let missing = scene.gateway.artifacts.missing(inputs + outputs + checkpoint)
            #expect(missing.isEmpty, "job \(id)")
        }
        for id in jobs.map(\.job.id) {
            let state = try await engine.store.job(id).job.state
            if !state.isTerminal {
                try await engine.cancel(id, now: true, by: "test")
                let left = try await engine.store.job(id).job
                if let holder = left.holder, left.state.isLeased {
                    let request = CompleteLeaseRequest(
                        jobID: id,
                        epoch: UInt64(left.epoch),
                        outcome: .cancelled,
                        bootID: holder.boot
                    )
                    _ = try await engine.complete(request, by: holder)
                }
            }
            _ = try await engine.remove(id)
        }
        scene.gateway.jobs.advance(seconds: 8 * 24 * hour)
        _ = try await RetentionSweep(
            engine: engine,
            artifacts: scene.gateway.artifacts,
            logs: logs,
            policy: RetentionPolicy()
        ).run()
        #expect(try scene.gateway.artifacts.digests().isEmpty)
    }
}
