internal import Foundation
internal import Protocol
internal import Synchronization
internal import Testing

/// Backups of a gateway at work, and what is made out of them: real processes, killed for real.
struct BackupTests {
    private let folder: String
    private var certificates: String { folder + "/certs" }

    init() throws {
        folder = NSTemporaryDirectory() + "/qat-backup-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try GatewayProcess.makeAuthority(certificates)
    }

    private func remove() { try? FileManager.default.removeItem(atPath: folder) }

    private static func put(_ text: String, _ client: RPCClient) async throws {
        let bytes = Array(text.utf8)
        var left = [bytes]
        _ = try await client.upload(
            QatMethods.putBlob,
            PutBlobRequest(digest: .of(text), size: UInt64(bytes.count)),
            size: UInt64(bytes.count),
            digest: .of(text),
            nextChunk: { left.popLast() }
        )
    }

    private static func get(_ digest: SHA256Digest, _ client: RPCClient) async throws -> String {
        var bytes: [UInt8] = []
        try await client.download(
            QatMethods.getBlob,
            GetBlobRequest(digest: digest),
            onChunk: { bytes += $0 }
        )
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Submits a job on a model of its own; the number is key and content.
    private static func submit(_ number: Int, _ client: RPCClient) async throws -> String {
        let text = "model \(number)"
        try await put(text, client)
        let spec = #"{"model": "m.gguf", "quantization": {"algorithm": "mxfp4"}}"#
        let file = InputFile(path: "m.gguf", digest: .of(text), size: UInt64(text.utf8.count))
        return try await client.call(
            QatMethods.submitJob,
            SubmitJobRequest(
                kind: "quantize",
                name: "n",
                key: "key-\(number)",
                specJSON: Array(spec.utf8),
                inputs: [Input(pointer: "/model", source: "m.gguf", files: [file])]
            )
        ).jobID
    }

    private static func worker(_ gateway: GatewayProcess, boot: String) async throws -> RPCClient {
        let client = try gateway.client(
            .service(role: "quant", instance: "quant-1"),
            "quant-\(boot)"
        )
        _ = try await client.call(
            QatMethods.registerWorker,
            RegisterWorkerRequest(
                role: "quant",
                instance: "quant-1",
                bootID: boot,
                address: "127.0.0.1:1",
                kinds: ["quantize"],
                stateID: "the same folder"
            )
        )
        return client
    }

    private static func lease(_ client: RPCClient, boot: String) async throws -> Lease? {
        try await client.call(
            QatMethods.acquireLease,
            AcquireLeaseRequest(instance: "quant-1", bootID: boot, waitSeconds: 10)
        ).lease
    }

    /// A job at work, with a checkpoint and a log.
    private static func work(_ client: RPCClient) async throws -> Lease {
        let lease = try #require(try await lease(client, boot: "b1"))
        try await put("the state", client)
        let saved = try await client.call(
            QatMethods.saveCheckpoint,
            SaveCheckpointRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                instance: "quant-1",
                bootID: "b1",
                checkpoint: Checkpoint(
                    step: 7,
                    files: [OutputFile(name: "s", digest: .of("the state"), size: 9)]
                )
            )
        )
        #expect(saved.accepted)
        _ = try await client.call(
            QatMethods.appendLog,
            AppendLogRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                data: Array("a line\n".utf8),
                bootID: "b1"
            )
        )
        return lease
    }

    /// Submits until it is told to stop, and keeps what was acknowledged.
    private final class Submitter: Sendable {
        private let acknowledged = Mutex<[Int: String]>([:])
        private let isOver = Mutex(false)

        var ids: [Int: String] { acknowledged.withLock { $0 } }

        func end() { isOver.withLock { $0 = true } }

        func run(_ client: RPCClient) async throws {
            var number = 100
            while !isOver.withLock({ $0 }) {
                let id = try await BackupTests.submit(number, client)
                acknowledged.withLock { $0[number] = id }
                number += 1
            }
        }

        func wait(for count: Int) async throws {
            while ids.count < count { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    @Test func everythingAcknowledgedBeforeABackupIsThereAfterARestoration() async throws {
        defer { remove() }
        let first = try await GatewayProcess(
            state: folder + "/a",
            certificates: certificates,
            arguments: ["--lease-seconds", "600"]
        )
        let ada = try first.client(.user(name: "ada"), "ada")
        let leased = try await Self.submit(1, ada)
        let lease = try await Self.work(try await Self.worker(first, boot: "b1"))
        #expect(lease.jobID == leased)
        try await Self.put("for later", ada)
        let submitter = Submitter()
        let submitting = Task { try await submitter.run(ada) }
        let backup = folder + "/backup"
        // The second one brings the first up to date.
        var known: [Int: String] = [:]
        for round in 1...2 {
            try await submitter.wait(for: 30 * round)
            known = submitter.ids
            let result = try GatewayProcess.run("backup", "--to", backup, "--state", first.state)
            #expect(result.status == 0, "\(result.output)")
        }
        first.kill()
        submitter.end()
        _ = await submitting.result

        let restored = folder + "/c"
        let result = try GatewayProcess.run("restore", "--from", backup, "--state", restored)
        #expect(result.status == 0, "\(result.output)")
        for used in [restored, first.state] {
            let again = try GatewayProcess.run("restore", "--from", backup, "--state", used)
            #expect(again.status == 1 && again.output.contains("holds a gateway's state"))
        }
        let second = try await GatewayProcess(
            state: restored,
            certificates: certificates,
            arguments: ["--lease-seconds", "600"]
        )
        let again = try second.client(.user(name: "ada"), "ada-2")
        for (number, id) in known {
            let job = try await again.call(QatMethods.getJob, GetJobRequest(jobID: id))
            #expect(job.summary.state == "QUEUED")
            #expect(try await Self.get(.of("model \(number)"), again) == "model \(number)")
            #expect(try await Self.submit(number, again) == id)
        }
        #expect(try await Self.get(.of("for later"), again) == "for later")
        try await goesOn(second, lease)
        second.kill()
    }

    /// The job that was at work comes back by itself, with its checkpoint and its log; what its worker of
    /// before says is worth nothing.
    private func goesOn(_ gateway: GatewayProcess, _ lease: Lease) async throws {
        let worker = try await Self.worker(gateway, boot: "b2")
        let late = try await worker.call(
            QatMethods.completeLease,
            CompleteLeaseRequest(jobID: lease.jobID, epoch: lease.epoch, bootID: "b1")
        )
        #expect(!late.accepted)
        let next = try #require(try await Self.lease(worker, boot: "b2"))
        #expect(next.jobID == lease.jobID && next.checkpoint?.step == 7)
        #expect(next.epoch > lease.epoch + 1000)
        #expect(try await Self.get(.of("the state"), worker) == "the state")
        let ada = try gateway.client(.user(name: "ada"), "ada-3")
        var log: [UInt8] = []
        try await ada.stream(QatMethods.jobLogs, JobLogsRequest(jobID: lease.jobID)) {
            log += $0.data
        }
        // What was in the backup, and what became of the attempt that it knew.
        #expect(
            String(decoding: log, as: UTF8.self)
                == "a line\nattempt 1 ended: WORKER_LOST: worker quant-1 was restarted\n"
        )
    }

    /// Seen: the policy of an earlier backup came back with the next restoration, operators and all.
    @Test func aPolicyThatIsGoneIsGoneFromTheBackup() async throws {
        defer { remove() }
        let gateway = try await GatewayProcess(state: folder + "/a", certificates: certificates)
        let (policy, backup) = (gateway.state + "/policy.json", folder + "/backup")
        for isThere in [true, false, true] {
            if isThere {
                try Data(#"{"operators": ["eve"]}"#.utf8).write(to: URL(filePath: policy))
            } else {
                try FileManager.default.removeItem(atPath: policy)
            }
            let result = try GatewayProcess.run("backup", "--to", backup, "--state", gateway.state)
            #expect(result.status == 0, "\(result.output)")
            #expect(FileManager.default.fileExists(atPath: backup + "/policy.json") == isThere)
        }
    }

    /// Seen: "gateway.sqlite: not an error (SQLite 13); make room on its disk", of the healthy disk.
    @Test(.enabled(if: FullDiskVolume.canBeMade))
    func aBackupOntoAFullDiskNamesThatDisk() async throws {
        defer { remove() }
        let gateway = try await GatewayProcess(state: folder + "/a", certificates: certificates)
        let volume = try FullDiskVolume(byteCount: 16 << 10)
        defer { volume.remove() }
        let backup = volume.path + "/backup"
        let result = try GatewayProcess.run("backup", "--to", backup, "--state", gateway.state)
        #expect(result.status == 1 && result.output.contains(backup), "\(result.output)")
        #expect(result.output.lowercased().contains("no space left"), "\(result.output)")
    }

    @Test func aBackupThatIsDamagedIsRefusedUnlessToldOtherwise() async throws {
        defer { remove() }
        let gateway = try await GatewayProcess(state: folder + "/a", certificates: certificates)
        let ada = try gateway.client(.user(name: "ada"), "ada")
        for number in 1...3 { _ = try await Self.submit(number, ada) }
        let backup = folder + "/backup"
        #expect(
            try GatewayProcess.run("backup", "--to", backup, "--state", gateway.state).status == 0
        )
        gateway.kill()
        // A new file: the old one is the gateway's, too.
        let path =
            backup + "/cas/sha256/" + SHA256Digest.of("model 2").hex.prefix(2) + "/"
            + SHA256Digest.of("model 2").hex
        try FileManager.default.removeItem(atPath: path)
        try Data("MODEL 2".utf8).write(to: URL(fileURLWithPath: path))
        let state = folder + "/c"
        let refused = try GatewayProcess.run("restore", "--from", backup, "--state", state)
        #expect(refused.status == 1 && refused.output.contains(SHA256Digest.of("model 2").hex))
        // Half a restoration is no state that a gateway starts on; it goes on where it was.
        #expect(!FileManager.default.fileExists(atPath: state + "/gateway.sqlite"))
        // Nor does a gateway start on the half, as a supervisor would try: it would be empty, for everybody.
        let half = try GatewayProcess.run(
            "--listen",
            "127.0.0.1:0",
            "--state",
            state,
            "--cert",
            certificates + "/gateway.pem",
            "--key",
            certificates + "/gateway.key",
            "--ca",
            certificates + "/ca.pem"
        )
        #expect(half.status == 1 && half.output.contains("half of a restoration"), "\(half.output)")
        #expect(!FileManager.default.fileExists(atPath: state + "/gateway.sqlite"))
        // The store has another file than the backup now: the next backup looks without being told.
        let next = try GatewayProcess.run("backup", "--to", backup, "--state", gateway.state)
        #expect(next.status == 0, "\(next.output)")
        let mended = try GatewayProcess.run("restore", "--from", backup, "--state", state)
        #expect(mended.status == 0 && mended.output.contains("3 jobs"), "\(mended.output)")
        // A marker that outlived the restoration opens no living state.
        try Data().write(to: URL(filePath: state + "/restoring"))
        let twice = try GatewayProcess.run("restore", "--from", backup, "--state", state)
        #expect(twice.status == 1 && twice.output.contains("gateway.sqlite"), "\(twice.output)")
        // That was broken off after its last step but one: the gateway takes it for done.
        let whole = try await GatewayProcess(state: state, certificates: certificates)
        let jobs = try await whole.client(.user(name: "ada"), "ada-2")
            .call(QatMethods.listJobs, ListJobsRequest()).jobs
        #expect(jobs.count == 3)
        #expect(!FileManager.default.fileExists(atPath: state + "/restoring"))
    }

    @Test func whatTheGatewayLacksIsNamedAndTheRestIsBackedUp() async throws {
        defer { remove() }
        let gateway = try await GatewayProcess(state: folder + "/a", certificates: certificates)
        let ada = try gateway.client(.user(name: "ada"), "ada")
        for number in 1...2 { _ = try await Self.submit(number, ada) }
        let hex = SHA256Digest.of("model 1").hex
        try FileManager.default.removeItem(
            atPath: "\(gateway.state)/cas/sha256/\(hex.prefix(2))/\(hex)"
        )
        let backup = folder + "/backup"
        let result = try GatewayProcess.run("backup", "--to", backup, "--state", gateway.state)
        #expect(result.status == 1 && result.output.contains(hex), "\(result.output)")
        gateway.kill()
        let state = folder + "/c"
        #expect(try GatewayProcess.run("restore", "--from", backup, "--state", state).status == 1)
        let restored = try GatewayProcess.run(
            "restore",
            "--from",
            backup,
            "--state",
            state,
            "--accept-gaps"
        )
        #expect(restored.status == 0 && restored.output.contains("missing: sha256:\(hex)"))
        // Folders that hold something else are left alone.
        let other = try GatewayProcess.run("backup", "--to", folder, "--state", state)
        #expect(other.status == 1 && other.output.contains("other things"))
    }
}
