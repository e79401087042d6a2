internal import DurableFiles
internal import Foundation
internal import Logging
internal import Protocol

/// Moves a job's checkpoints between this machine and the gateway's store, so that they belong to the
/// job and not to the worker that wrote them.
struct CheckpointExchange: Sendable {
    let lease: Lease
    let worker: WorkerProcess
    /// Where the compute child writes and looks: a folder per checkpoint, see ``CheckpointName``.
    let folder: String
    /// Where files wait for their upload, out of reach of the child, which removes old checkpoints.
    let staging: String
    let inputs: InputStore
    let publisher: OutputPublisher
    let link: GatewayLink
    let logger: Logger

    /// A checkpoint that is complete on this machine's disk.
    struct Notice: Sendable, Equatable {
        let step: UInt64
        /// The folder's name.
        let name: String
    }

    /// Brings the job's newest checkpoint here, unless this machine has it whole.
    ///
    /// Later ones that this machine wrote and could not store stay beside it: the child takes the newest
    /// that verifies.
    ///
    /// - Throws: Cancellation, and a full disk: another worker has room for it. A checkpoint that cannot
    ///   be had is passed over with a warning: the job starts from an older one, or from the beginning.
    func restore() async throws {
        guard let checkpoint = lease.checkpoint else { return }
        let name = "\(CheckpointName(step: checkpoint.step))"
        guard !isWhole(checkpoint, in: "\(folder)/\(name)") else { return }
        let incoming = "\(folder)/\(JobFolders.incoming)"
        do {
            try? FileManager.default.removeItem(atPath: incoming)
            let files = checkpoint.files.map {
                InputFile(path: $0.name, digest: $0.digest, size: $0.size)
            }
            try await inputs.place(files, in: incoming)
            try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
            try FileManager.default.moveItem(atPath: incoming, toPath: "\(folder)/\(name)")
            logger.info("job \(lease.jobID): checkpoint of step \(checkpoint.step) fetched")
        } catch {
            try Task.checkCancellation()
            if error.isFullDisk { throw error }
            logger.warning(
                "job \(lease.jobID): checkpoint of step \(checkpoint.step) cannot be fetched: \(FileFault.text(of: error))"
            )
        }
    }

    /// Sets a checkpoint's files aside for the upload; hard links cost nothing.
    ///
    /// - Returns: The notice, or nil if the files are gone or cannot be linked.
    func stage(step: Int?, name: String?) -> Notice? {
        guard let step = step.map({ UInt64(clamping: $0) }), let name,
            CheckpointName(name)?.step == step
        else {
            return nil
        }
        let manager = FileManager.default
        let target = "\(staging)/\(name)"
        do {
            try? manager.removeItem(atPath: target)
            try manager.createDirectory(atPath: target, withIntermediateDirectories: true)
            for file in try manager.contentsOfDirectory(atPath: "\(folder)/\(name)") {
                try manager.linkItem(
                    atPath: "\(folder)/\(name)/\(file)",
                    toPath: "\(target)/\(file)"
                )
            }
            return Notice(step: step, name: name)
        } catch {
            logger.warning(
                "job \(lease.jobID): checkpoint \(name) cannot be set aside: \(FileFault.text(of: error))"
            )
            try? manager.removeItem(atPath: target)
            return nil
        }
    }

    /// Forgets a checkpoint that was set aside.
    func unstage(_ notice: Notice) {
        try? FileManager.default.removeItem(atPath: "\(staging)/\(notice.name)")
    }

    /// Uploads a staged checkpoint and makes it the job's newest.
    ///
    /// `checkWorth`: Asked whenever the gateway did not take it and it is to be tried again; what it throws ends
    /// the upload.
    ///
    /// One that was damaged on this machine's disk stays here: what the gateway has instead is whole.
    ///
    /// - Throws: What the gateway refuses, what `checkWorth` throws, or cancellation; ``ServiceError``
    ///   (`inputOutput`) of a damaged checkpoint.
    func upload(_ notice: Notice, checkWorth: () throws -> Void) async throws {
        let files = try OutputPublisher.inventory("\(staging)/\(notice.name)")
        if let name = CheckpointDigests.damaged(files, in: "\(staging)/\(notice.name)") {
            throw ServiceError(
                .inputOutput,
                "\(name) is damaged on this worker's disk; the gateway keeps what it has"
            )
        }
        try await publisher.publish(
            files,
            in: "\(staging)/\(notice.name)",
            checkWorth: checkWorth
        )
        let request = SaveCheckpointRequest(
            jobID: lease.jobID,
            epoch: lease.epoch,
            instance: worker.instance,
            bootID: worker.bootID,
            checkpoint: Checkpoint(step: notice.step, files: files)
        )
        let response = try await link.untilAnswered(
            "naming checkpoint \(notice.name)",
            checkWorth: checkWorth
        ) {
            try await link.client.call(QatMethods.saveCheckpoint, request)
        }
        guard response.accepted else { return }
        logger.info("job \(lease.jobID): checkpoint of step \(notice.step) is stored")
    }

    /// Whether a folder holds all files of a checkpoint with their digests.
    private func isWhole(_ checkpoint: Checkpoint, in path: String) -> Bool {
        checkpoint.files.allSatisfy { file in
            (try? SHA256Digest.digest(ofFile: "\(path)/\(file.name)"))?.0 == file.digest
        }
    }
}

/// What a checkpoint's own manifest says of its files, as `CheckpointStore` writes it.
struct CheckpointDigests: Decodable {
    private struct File: Decodable {
        let name: String
        let sha256: String
    }

    private static let name = "manifest.json"
    private let files: [File]

    /// The first file that is not what the manifest in a folder says; nil if all are, or there is none.
    static func damaged(_ found: [OutputFile], in folder: String) -> String? {
        guard let bytes = try? Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")) else {
            return nil
        }
        guard let manifest = try? JSONDecoder().decode(Self.self, from: bytes) else { return name }
        return manifest.files.first { file in
            !found.contains { $0.name == file.name && $0.digest.hex == file.sha256 }
        }?.name
    }
}
