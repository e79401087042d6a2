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

    /// As a start does: what is accepted is taken in.
    private func check(_ referenced: SHA256Digest?, known: String? = nil) throws {
        try ArtifactPresence.check(
            root: root,
            .init(
                database: folder + "/gateway.sqlite",
                named: referenced.map { [$0] } ?? [],
                known: known
            )
        )
        ArtifactPresence.settle(root: root, known: known)
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
        try check(.of("m"), known: store.id)
        try store.remove(.of("other"))
        #expect(throws: StoreError.self) { try check(.of("m"), known: store.id) }
    }

    /// Seen: the folders of two gateways were exchanged; each removed most of the other's a minute later.
    @Test func anotherStoreIsNotTakenForItsOwn() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let own = try ArtifactStore(root: root)
        try await own.put("m")
        try check(.of("m"), known: own.id)
        // A database of an earlier version knows none yet: what it names is there.
        try check(.of("m"))
        try FileManager.default.moveItem(atPath: root, toPath: root + ".away")
        let foreign = try ArtifactStore(root: root)
        try await foreign.put("theirs")
        for referenced in [nil, SHA256Digest.of("m"), .of("theirs")] {
            let error = #expect(throws: StoreError.self) { try check(referenced, known: own.id) }
            let words = [root, "is not the store", foreign.id, own.id, "move the right folder"]
            for word in words { #expect(error?.message.contains(word) == true, "\(word)") }
        }
        // Nor by that database, or one that was restored.
        let upgraded = #expect(throws: StoreError.self) { try check(.of("m")) }
        #expect(upgraded?.message.contains("0 of 1 artifacts") == true)
        try check(.of("theirs"))
        // The way on is in the sentence, and is taken once, by this database alone.
        let error = #expect(throws: StoreError.self) { try check(nil, known: own.id) }
        let command = try #require(error?.message.components(separatedBy: "for good, ").last)
        #expect(try TestProgram.run("/bin/sh", ["-c", command]).status == 0)
        #expect(throws: StoreError.self) { try check(nil, known: "another one") }
        try check(nil, known: own.id)
        #expect(throws: StoreError.self) { try check(nil, known: own.id) }
    }

    /// Of its own store, copied without the id, it says how that comes back.
    @Test func aStoreWithoutItsIDCanGetItBack() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let own = try ArtifactStore(root: root)
        try await own.put("m")
        try Data().write(to: URL(filePath: root + "/id"))
        let error = #expect(throws: StoreError.self) { try check(.of("m"), known: own.id) }
        #expect(error?.message.contains("has no id") == true)
        let command = try #require(error?.message.firstMatch(of: #/\((printf [^)]+)\)/#)?.output.1)
        #expect(try TestProgram.run("/bin/sh", ["-c", String(command)]).status == 0)
        try check(.of("m"), known: own.id)
        // An editor, or echo, puts a line's end behind it.
        try Data("\(own.id)\n".utf8).write(to: URL(filePath: root + "/id"))
        try check(.of("m"), known: own.id)
    }

    /// While a backup holds the artifacts no job goes for room that its end would not make.
    ///
    /// Seen: 22 jobs went in a round beside a backup, and freed nothing.
    @Test func nothingIsFreeWhileABackupRuns() async throws {
        try await GatewayFixture.run { gateway in
            let collector = ArtifactCollector(
                engine: gateway.jobs.engine,
                artifacts: gateway.artifacts
            )
            #expect(try collector.isFree())
            let backup = try #require(try CollectionLock.alone(root: gateway.artifacts.root))
            #expect(try !collector.isFree())
            withExtendedLifetime(backup) {}
        }
    }

    /// What a gateway's own start writes down is what it compares with; a restored one begins anew.
    @Test func theDatabaseKnowsItsStore() async throws {
        let fixture = try StoreFixture()
        let store = try #require(fixture.engine.store as? SQLiteJobStore)
        #expect(try await store.artifactStore() == nil)
        try await store.setArtifactStore("one")
        try await store.setArtifactStore("two")
        #expect(try await store.artifactStore() == "two")
        let copy = fixture.folder + "/copy.sqlite"
        try BackupDatabase.snapshot(fixture.folder + "/gateway.sqlite", to: copy)
        try BackupDatabase.prepare(copy)
        let restored = SQLiteJobStore(pool: try GatewayDatabase.open(path: copy))
        #expect(try await restored.artifactStore() == nil)
        try restored.close()
    }

    /// Seen: `jobs rm` ended with "No such file", and the job was gone; `artifacts gc` removed what lay in the
    /// folder's place.
    @Test func whileTheFolderIsAwayNothingIsRemoved() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let job = try await gateway.submit(ada, key: "k")
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: job))
            let root = gateway.artifacts.root
            try FileManager.default.moveItem(atPath: root, toPath: root + ".away")
            let foreign = try ArtifactStore(root: root)
            try await foreign.put("theirs")
            try await expectUnavailable {
                _ = try await ada.call(QatMethods.removeJob, RemoveJobRequest(jobID: job))
            }
            try await expectUnavailable {
                _ = try await ada.call(
                    QatMethods.removeBlobs,
                    RemoveBlobsRequest(digests: [.of("m")])
                )
            }
            _ = try await ada.call(QatMethods.getJob, GetJobRequest(jobID: job))
            let collector = ArtifactCollector(
                engine: gateway.jobs.engine,
                artifacts: gateway.artifacts
            )
            let gone = try await collector.collect([.of("theirs")], GrantExpiry(before: .max))
            #expect(gone.isEmpty)
            await #expect(throws: StoreError.self) {
                try await collector.sweep(GrantExpiry(before: .max)) { _ in }
            }
            #expect(foreign.size(.of("theirs")) == 6)
        }
    }

    /// Seen: with a store that was remounted to be read only, every job of the queue ended as CRASH_LOOP.
    @Test func aStoreThatCannotBeWrittenIsAnObstacle() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try ArtifactStore(root: root)
        #expect(store.obstacle == nil)
        // Whoever is root may write everywhere; what is no folder takes no file.
        try FileManager.default.removeItem(atPath: root + "/tmp")
        #expect(store.obstacle?.hasPrefix("cannot be written: \(root)/tmp: ") == true)
        let error = await #expect(throws: StoreError.self) { try await store.put("m") }
        #expect(error?.rpcError().code == .unavailable)
        try FileManager.default.createDirectory(
            atPath: root + "/tmp",
            withIntermediateDirectories: true
        )
        #expect(store.obstacle == nil)
    }

    /// Seen: `artifacts verify --all` of a read-only store ended with "rename: Read-only file system".
    @Test func damageIsSaidWhereNothingCanBeSetAside() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try ArtifactStore(root: root)
        try await store.put("m")
        try Data("n".utf8).write(to: URL(filePath: store.path(.of("m"))))
        try FileManager.default.removeItem(atPath: root + "/damaged")
        for _ in 0..<2 {
            let error = await #expect(throws: StoreError.self) {
                try await store.verify(.of("m"), isTrusting: false)
            }
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains("is damaged") == true)
            #expect(error?.message.contains("cannot be set aside") == true)
            #expect(error?.message.contains("counts as missing") == true)
        }
        // As it says: whoever has the bytes is asked for them.
        #expect(store.missing([.of("m")]) == [.of("m")] && store.size(.of("m")) == nil)
        try await store.put("m")
        #expect(store.missing([.of("m")]).isEmpty)
        try await store.verify(.of("m"), isTrusting: false)
    }

    /// It takes its room until it goes, and can go.
    @Test func whatIsDamagedInItsPlaceIsRemovedAsAnyOther() async throws {
        try await GatewayFixture.run { gateway in
            let store = gateway.artifacts
            try await store.put("m")
            try Data("n".utf8).write(to: URL(filePath: store.path(.of("m"))))
            try FileManager.default.removeItem(atPath: store.root + "/damaged")
            await #expect(throws: StoreError.self) {
                try await store.verify(.of("m"), isTrusting: false)
            }
            let collector = ArtifactCollector(engine: gateway.jobs.engine, artifacts: store)
            let gone = try await collector.collect([.of("m")], GrantExpiry(before: .max))
            #expect(gone.map(\.size) == [1] && store.fileSize(.of("m")) == nil)
        }
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
            #expect(summary.waitReason.contains("artifacts can be used again"))
            let health = try await ada.call(QatMethods.healthCheck, HealthCheckRequest())
            #expect(health.status == .notServing)
            #expect(health.message.contains("artifacts in"))
            #expect(gateway.jobs.engine.lookForArtifacts() == .obstacle("are away"))
            #expect(gateway.jobs.engine.lookForArtifacts() == nil)

            // With the folder back all goes on.
            try? FileManager.default.removeItem(atPath: root)
            try FileManager.default.moveItem(atPath: root + ".away", toPath: root)
            #expect(gateway.jobs.engine.lookForArtifacts() == .back)
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
