internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// A row that names a file of a job and whose digest is none is told of, with job and file, and stops nothing
/// else: no list, no other job, no check, no backup.
struct DamagedDigestTests {
    private static let damage = "SET digest = x'00ff' WHERE job ="

    /// Where artifacts are named.
    ///
    /// A table more than these is one that the collector, backups and removals have to
    /// know: docs/EXTENDING.md, "Adding a store", says where.
    @Test func noTableNamesArtifactsThatTheCollectorDoesNotKnow() async throws {
        let fixture = try StoreFixture()
        let store = try #require(fixture.engine.store as? SQLiteJobStore)
        let tables = try await store.pool.read {
            try String.fetchAll(
                $0,
                sql: """
                    SELECT sqlite_master.name FROM sqlite_master, pragma_table_info(sqlite_master.name) AS c
                    WHERE sqlite_master.type = 'table' AND c.name LIKE '%digest%' ORDER BY 1
                    """
            )
        }
        let files = ["artifact_grant", "checkpoint_file", "input_file", "output"]
        // Those of a job and a pipeline are of what was submitted, by which a key is found again.
        #expect(tables == (files + ["job", "pipeline"]).sorted())
    }

    /// Seen: status, and every command that looks a name up, ended with a sentence that named neither.
    @Test func listsShowTheJobThatWaits() async throws {
        let fixture = try StoreFixture()
        let source = try await fixture.submit("source")
        var submission = try fixture.submission("waits")
        submission.after = [source]
        let waits = try await fixture.engine.submit(submission).id
        try await fixture.execute("UPDATE input_file \(Self.damage) '\(waits)'")
        let listed = try await fixture.engine.list(pageSize: 9, before: nil).jobs
        #expect(listed.map(\.jobID) == [waits, source])
        #expect(listed.first?.state == "BLOCKED")
        for word in [waits, "m.gguf", "2 bytes"] {
            #expect(listed.first?.waitReason.contains(word) == true, "\(listed)")
        }
        #expect(
            try await fixture.engine.detail(source).summary.waitReason.contains("2 bytes") == false
        )
        try await fixture.engine.cancel(waits, now: true, by: "ada")
        #expect(try await fixture.state(waits) == "CANCELLED")
        _ = try await fixture.engine.remove(waits)
    }

    /// Seen: leased three times, never handed out, and FAILED as `CRASH_LOOP` of a worker that had done nothing.
    @Test(arguments: ["input_file", "checkpoint_file"])
    func aJobThatCannotBeHandedOutIsNotLeased(table: String) async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let damaged = try await fixture.submit("damaged")
        let lease = try #require(try await fixture.acquire())
        let claim = LeaseClaim(epoch: 1, holder: StoreFixture.holder("train-1", boot: "b1"))
        let files = [OutputFile(name: "state", digest: .of("state"), size: 5)]
        let saved = try await fixture.engine.saveCheckpoint(
            damaged,
            claim,
            Checkpoint(step: 1, files: files)
        )
        #expect(saved != nil)
        #expect(try await fixture.complete(lease, .released))
        let next = try await fixture.submit("next")
        try await fixture.execute("UPDATE \(table) \(Self.damage) '\(damaged)'")
        // It stands before nobody.
        let other = try #require(try await fixture.acquire())
        #expect(other.jobID == next)
        #expect(try await fixture.complete(other))
        for _ in 0..<4 {
            #expect(try await fixture.acquire() == nil)
            fixture.advance(seconds: 31)
            #expect(try await fixture.engine.recoverExpired().isEmpty)
        }
        let job = try await fixture.engine.store.job(damaged).job
        #expect(job.state == .queued && job.epoch == 1 && job.losses == 0)
        let summary = try await fixture.engine.detail(damaged).summary
        let name = table == "input_file" ? "m.gguf" : "state"
        #expect(summary.waitReason.contains(damaged) && summary.waitReason.contains(name))
        // Put right, it goes on.
        let digest = SHA256Digest.of(table == "input_file" ? "m" : "state").hex
        try await fixture.execute("UPDATE \(table) SET digest = x'\(digest)'")
        #expect(try await fixture.acquire()?.jobID == damaged)
        #expect(try await fixture.engine.detail(damaged).summary.waitReason.isEmpty)
    }

    /// What an attempt has computed is not lost for a row that it replaces.
    @Test func anAttemptGoesOnOverADamagedCheckpoint() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        let claim = LeaseClaim(epoch: 1, holder: StoreFixture.holder("train-1", boot: "b1"))
        for step: UInt64 in 1...2 {
            let files = [OutputFile(name: "state", digest: .of("\(step)"), size: 1)]
            let saved = try await fixture.engine.saveCheckpoint(
                id,
                claim,
                Checkpoint(step: step, files: files)
            )
            #expect(saved != nil, "step \(step)")
            try await fixture.execute("UPDATE checkpoint_file \(Self.damage) '\(id)'")
        }
        #expect(try await fixture.complete(lease))
        #expect(try await fixture.state(id) == "SUCCEEDED")
    }

    @Test(arguments: ["input_file", "output"])
    func aDamagedJobStandsInForNobody(table: String) async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        func submit(_ key: String) async throws -> String {
            var submission = try fixture.submission(key)
            submission.content = .of("c")
            submission.reuse = JobEngine.Reuse(owner: "ada") { _ in true }
            return try await fixture.engine.submit(submission).id
        }
        let first = try await submit("1")
        let lease = try #require(try await fixture.acquire())
        #expect(try await fixture.complete(lease))
        #expect(try await fixture.state(try await submit("2")) == "SUCCEEDED")
        try await fixture.execute("UPDATE \(table) SET digest = x'00ff'")
        #expect(try await fixture.state(try await submit("3")) == "QUEUED")
        #expect(try await fixture.engine.list(pageSize: 9, before: nil).jobs.count == 3)
        _ = first
    }

    /// Seen: `artifacts verify --all` ended at it.
    @Test(arguments: ["input_file", "output", "checkpoint_file"])
    func aCheckOfEverythingNamesIt(table: String) async throws {
        try await GatewayFixture.run { gateway in
            let ids = try await twoJobs(gateway)
            try await gateway.jobs.execute("UPDATE \(table) \(Self.damage) '\(ids[0])'")
            try await gateway.jobs.execute(
                "UPDATE artifact_grant SET digest = substr(digest, 1, 5) WHERE holder LIKE '%ada'"
            )
            var faults: [ArtifactFault] = []
            var end: VerifyArtifactsReport?
            let audit = ArtifactAudit(
                store: gateway.jobs.engine.store,
                artifacts: gateway.artifacts
            )
            try await audit.run { report in
                if let fault = report.fault { faults.append(fault) }
                end = report
            }
            #expect(faults.map(\.jobIDs) == [[ids[0]]] && end?.faults == 1)
            #expect(faults.first?.message.contains("job \(ids[0])") == true)
            // All that is stored was read all the same: two models, an output, a checkpoint.
            #expect(end?.checked == 4)
            let grants = try await gateway.jobs.engine.store.grants(
                GrantExpiry(before: .max),
                after: nil,
                limit: 100
            )
            #expect(!grants.contains { $0.holder.hasSuffix("ada") })
        }
    }

    /// Seen: one such row, and no backup was made any more.
    @Test(arguments: ["input_file", "output", "checkpoint_file"])
    func aBackupNamesItAndHasTheRest(table: String) async throws {
        try await GatewayFixture.run { gateway in
            let ids = try await twoJobs(gateway)
            try await gateway.jobs.execute("UPDATE \(table) \(Self.damage) '\(ids[0])'")
            let folder = gateway.jobs.folder
            let backup = folder + "-backup"
            let state = folder + "-restored"
            defer {
                for path in [backup, state] { try? FileManager.default.removeItem(atPath: path) }
            }
            let manifest = try await GatewayBackup(state: folder, target: backup).run()
            #expect(manifest.jobs == 2 && manifest.incomplete.isEmpty)
            #expect(manifest.unreadable?.count == 1)
            let told = try #require(GatewayDaemon.Backup.fault(in: manifest))
            #expect(told.contains("job \(ids[0])") && told.contains("the rest is backed up"))
            let report = try GatewayRestore(source: backup, state: state).run()
            #expect(report.jobs == 2 && report.gaps.isEmpty)
            #expect(report.unreadable == manifest.unreadable)
            // The other job's model is there.
            let path = BackupFiles.path(.of("model 2"), in: state + "/cas")
            #expect(FileManager.default.contents(atPath: path) == Data("model 2".utf8))
            try expectPrivate(backup)
            try expectPrivate(state)
        }
    }

    /// A backup before this one said nothing of rows.
    @Test func anOlderBackupIsRead() throws {
        let folder = NSTemporaryDirectory() + "/qat-manifest-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let text =
            #"{"format":1,"version":"0.1.0","created":1,"jobs":2,"artifacts":3,"bytes":4,"incomplete":[]}"#
        try Data(text.utf8).write(to: URL(filePath: folder + "/backup.json"))
        let manifest = try BackupManifest(folder: folder)
        #expect(manifest.jobs == 2 && GatewayDaemon.Backup.fault(in: manifest) == nil)
    }

    /// Seen: the copy of the database, with everybody's specifications, could be read by every account, where
    /// the folder was made as docs/OPERATIONS.md says.
    private func expectPrivate(_ folder: String) throws {
        for name in ["gateway.sqlite", "backup.json"] {
            let path = folder + "/" + name
            guard FileManager.default.fileExists(atPath: path) else { continue }
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
            #expect((mode as? Int ?? 0o777) & 0o077 == 0, "\(path)")
        }
    }

    /// The first with an output and a checkpoint, as an export that failed leaves them; the second waits.
    private func twoJobs(_ gateway: GatewayFixture) async throws -> [String] {
        let ada = try gateway.user("ada")
        let first = try await gateway.submit(ada, key: "1", text: "model 1")
        let worker = try await gateway.worker(.quant, "quant-1")
        let lease = try await gateway.lease(worker, "quant-1")
        let second = try await gateway.submit(ada, key: "2", text: "model 2")
        for text in ["output", "state"] { try await gateway.put(text, worker) }
        let saved = try await worker.call(
            QatMethods.saveCheckpoint,
            SaveCheckpointRequest(
                jobID: first,
                epoch: lease.epoch,
                instance: "quant-1",
                bootID: "b1",
                checkpoint: Checkpoint(
                    step: 1,
                    files: [OutputFile(name: "state", digest: .of("state"), size: 5)]
                )
            )
        )
        let ended = try await worker.call(
            QatMethods.completeLease,
            CompleteLeaseRequest(
                jobID: first,
                epoch: lease.epoch,
                outcome: .failed,
                reason: "EXPORT_FAILED",
                message: "no",
                outputs: [OutputFile(name: "output", digest: .of("output"), size: 6)],
                bootID: "b1"
            )
        )
        #expect(saved.accepted && ended.accepted)
        return [first, second]
    }
}
