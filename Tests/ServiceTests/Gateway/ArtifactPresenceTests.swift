internal import Foundation
internal import Jobs
internal import Protocol
internal import TestProgram
internal import Testing

@testable internal import Gateway

/// A folder of artifacts that is not there, as when a mount did not come or is gone.
///
/// Seen: a gateway that was started beside an empty folder was in good health, handed out the whole queue, and 98
/// jobs ended for good as ARTIFACT_MISSING.
struct ArtifactPresenceTests {
    private let folder = NSTemporaryDirectory() + "qat-presence-" + UUID().uuidString
    private var root: String { folder + "/cas" }

    private func check(_ referenced: SHA256Digest?) throws {
        try ArtifactPresence.check(
            root: root,
            database: folder + "/gateway.sqlite",
            referenced: referenced
        )
    }

    @Test(arguments: [false, true])
    func aStartBesideNoArtifactsNamesFolderAndDatabase(isMade: Bool) async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        if isMade {
            // As a gateway makes it, which has none yet.
            _ = try ArtifactStore(root: root)
        }
        try check(nil)
        let error = #expect(throws: StoreError.self) { try check(.of("m")) }
        #expect(error?.code == .unusable)
        let words = [root, "\(folder)/gateway.sqlite", "qat-gateway restore", "sha256:"]
        for word in words { #expect(error?.message.contains(word) == true, "\(word)") }
        // The way on is in the sentence.
        let command = try #require(error?.message.components(separatedBy: "without them, ").last)
        #expect(try TestProgram.run("/bin/sh", ["-c", command]).status == 0)
        try check(.of("m"))
        // Said once: with artifacts there is nothing to accept, and what is lost then is lost anew.
        let store = try ArtifactStore(root: root)
        try await store.put("other")
        try check(.of("m"))
        try store.remove(.of("other"))
        #expect(throws: StoreError.self) { try check(.of("m")) }
    }

    /// Damaged ones are there, and the folder is the right one.
    @Test func damagedArtifactsAreSome() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try ArtifactStore(root: root)
        try await store.put("m")
        try Data("n".utf8).write(to: URL(filePath: store.path(.of("m"))))
        await #expect(throws: StoreError.self) {
            try await store.verify(.of("m"), isTrusting: false)
        }
        try check(.of("m"))
    }

    /// What is in the folder's place makes no difference.
    @Test(arguments: ["nothing", "an empty folder", "another store"])
    func whileTheFolderIsAwayNothingEnds(place: String) async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let held = try await gateway.submit(ada, key: "held")
            let lease = try await gateway.lease(worker, "quant-1")
            let waiting = try await gateway.submit(ada, key: "waiting")
            let root = gateway.artifacts.root
            try FileManager.default.moveItem(atPath: root, toPath: root + ".away")
            switch place {
            case "an empty folder":
                try FileManager.default.createDirectory(
                    atPath: root,
                    withIntermediateDirectories: true
                )
            case "another store": _ = try ArtifactStore(root: root)
            default: break
            }

            // Whoever holds a job is told to try again, and its end for the lack of an input is not taken.
            let failure = CompleteLeaseRequest(
                jobID: held,
                epoch: lease.epoch,
                outcome: .failed,
                reason: JobReason.artifactMissing.rawValue,
                message: "input /model cannot be had",
                bootID: "b1"
            )
            try await expectUnavailable { _ = try await gateway.get(.of("m"), worker) }
            try await expectUnavailable { _ = try await gateway.put("out", worker) }
            try await expectUnavailable {
                _ = try await worker.call(QatMethods.completeLease, failure)
            }
            try await expectUnavailable {
                _ = try await ada.call(
                    QatMethods.findMissing,
                    FindMissingRequest(digests: [.of("m")])
                )
            }
            try await expectUnavailable {
                try await gateway.submit(ada, key: "new", uploads: false)
            }
            #expect(!gateway.denials.contains { $0.contains("open to the caller") })

            // Nobody gets another one, and it says why it waits.
            let other = try await gateway.worker(.quant, "quant-2")
            let request = AcquireLeaseRequest(instance: "quant-2", bootID: "b1", waitSeconds: 0)
            #expect(try await other.call(QatMethods.acquireLease, request).lease == nil)
            let summary = try await ada.call(QatMethods.getJob, GetJobRequest(jobID: waiting))
                .summary
            #expect(summary.state == JobState.queued.rawValue)
            #expect(summary.waitReason.contains("artifacts are there again"))
            let health = try await ada.call(QatMethods.healthCheck, HealthCheckRequest())
            #expect(health.status == .notServing)
            #expect(health.message.contains("artifacts in"))
            #expect(gateway.jobs.engine.lookForArtifacts() == false)
            #expect(gateway.jobs.engine.lookForArtifacts() == nil)

            // With the folder back all goes on.
            try? FileManager.default.removeItem(atPath: root)
            try FileManager.default.moveItem(atPath: root + ".away", toPath: root)
            #expect(gateway.jobs.engine.lookForArtifacts() == true)
            #expect(try await gateway.get(.of("m"), worker) == "m")
            #expect(try await gateway.lease(other, "quant-2", boot: "b1").jobID == waiting)
            #expect(try await gateway.jobs.engine.store.job(held).job.state.isLeased)
        }
    }

    /// An artifact that is gone from a store that is there is told apart from one that is another's.
    @Test func theAuditLogTellsGoneFromNotOpen() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let bob = try gateway.user("bob")
            let digest = try await gateway.put("m", ada)
            await #expect(throws: RPCError.self) { try await gateway.get(digest, bob) }
            try gateway.artifacts.remove(digest)
            await #expect(throws: RPCError.self) { try await gateway.get(digest, ada) }
            let rules = gateway.audit.filter { !$0.isAllowed }.map(\.rule)
            #expect(
                rules == [
                    "sha256:\(digest.hex) is not open to the caller",
                    "sha256:\(digest.hex) is not stored",
                ]
            )
        }
    }

    private func expectUnavailable(_ body: () async throws -> Void) async throws {
        let error = await #expect(throws: RPCError.self) { try await body() }
        #expect(error?.code == .unavailable, "\(error?.message ?? "")")
    }
}
