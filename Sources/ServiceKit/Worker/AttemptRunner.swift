internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Logging
internal import Protocol

/// Runs one leased attempt from fetching its inputs to reporting its end.
struct AttemptRunner: Sendable {
    let lease: Lease
    let worker: WorkerProcess
    let heartbeatInterval: Duration
    let jobFolder: String
    let inputs: InputStore
    let room: DiskRoom
    let publisher: OutputPublisher
    let link: GatewayLink
    let executable: String
    let threads: Int
    /// Starts the ranks of a job for several devices; nil where none is offered.
    var launcher: RankLauncher?
    /// What runs programs of models; nil where they may not be run.
    var codeInterpreter: String?
    let stallLimit: Duration
    /// How long the attempt of a stopping daemon waits for the gateway in the end.
    var gatewayLimit = Self.gatewayLimit
    let logger: Logger

    /// How long a stopping child may take.
    private static let stopGrace = Duration.seconds(StopTimes.childGrace)
    static let gatewayLimit = Duration.seconds(StopTimes.lastReport)
    /// What of it is kept for handing the lease back when uploads take too long.
    static let reportReserve = Duration.seconds(10)

    /// How an attempt ended, as far as the lease loop cares.
    enum End: Sendable, Equatable {
        /// The gateway knows the outcome; `isDone` unless a retry may go on from the checkpoints.
        case reported(isDone: Bool)
        /// The lease is lost, or could not be handed back; the gateway will hand the job out again.
        case abandoned
    }

    /// Runs the attempt.
    ///
    /// A cancelled task asks the child for a checkpoint and hands the lease back; until then the lease
    /// is kept alive.
    func run() async -> End {
        let reporter = AttemptReporter(
            lease: lease,
            worker: worker,
            interval: heartbeatInterval,
            journal: AttemptJournal(jobID: lease.jobID),
            link: link,
            logger: logger
        )
        let orders = AttemptOrders()
        let limit = StopLimit(gatewayLimit)
        logger.info("attempt \(lease.attempt) of job \(lease.jobID) (\(lease.kind)) begins")
        reporter.journal.appendLog("attempt \(lease.attempt) begins on worker \(worker.instance)")
        // These outlive the cancellation of this task: a stopping daemon has things to do and to tell.
        let reports = Task { await reporter.run(orders) }
        let wishes = Task { await reporter.listen(orders) }
        let attempt = Task { await self.attempt(reporter, orders, limit) }
        let end = await withTaskCancellationHandler {
            let outcome = await attempt.value
            limit.endComputing()
            note(outcome)
            let isStopping = Task.isCancelled
            return await Task {
                await report(outcome, reporter, orders, limit, isStopping)
            }.value
        } onCancel: {
            limit.beginStopping()
            orders.give(.stop)
        }
        reports.cancel()
        wishes.cancel()
        orders.finish()
        reporter.journal.finish()
        logger.info("attempt \(lease.attempt) of job \(lease.jobID) ended: \(end)")
        return end
    }

    /// Remembers that the disk was too small, so that the same job is not taken again at once.
    private func note(_ outcome: ComputeProcess.Outcome) {
        switch outcome {
        case .unfit, .failed(reason: .noDisk, message: _):
            let files =
                lease.inputs.flatMap(\.files).map { ($0.digest, $0.size) }
                + (lease.checkpoint?.files ?? []).map { ($0.digest, $0.size) }
            let sizes = Dictionary(files) { first, _ in first }.values
            let wanted = sizes.reduce(UInt64(0)) { $0.addingReportingOverflow($1).partialValue }
            room.note(job: lease.jobID, wanted: wanted)
        default: break
        }
    }

    private func attempt(
        _ reporter: AttemptReporter,
        _ orders: AttemptOrders,
        _ limit: StopLimit
    ) async -> ComputeProcess.Outcome {
        if let work = FinishedWork.found(in: jobFolder, for: lease) {
            reporter.journal.note("an earlier attempt had finished here: its outputs are published")
            return .succeeded(work.results)
        }
        let checkpoints = CheckpointExchange(
            lease: lease,
            worker: worker,
            folder: "\(jobFolder)/\(JobFolders.checkpoints)",
            staging: jobFolder + "/upload",
            inputs: inputs,
            publisher: publisher,
            link: link,
            logger: logger
        )
        do {
            reporter.journal.enter(phase: "fetch")
            JobFolders.removeUnfinished(in: jobFolder)
            try? FileManager.default.removeItem(atPath: checkpoints.staging)
            let paths = try await orders.interruptible(by: .stop) {
                try await checkpoints.restore()
                return try await inputs.materialize(lease.inputs, in: jobFolder + "/inputs")
            }
            return try await compute(reporter.journal, orders, limit, checkpoints, paths: paths)
        } catch {
            if let order = orders.given {
                return order == .kill ? .killed : .stopped
            }
            logger.error("job \(lease.jobID): \(FileFault.text(of: error))")
            if error.isFullDisk { return .unfit("the inputs do not fit") }
            if let missing = error as? MissingInput {
                return .failed(reason: .artifactMissing, message: "\(missing)")
            }
            return .failed(reason: .internalError, message: FileFault.text(of: error))
        }
    }

    private func compute(
        _ journal: AttemptJournal,
        _ orders: AttemptOrders,
        _ limit: StopLimit,
        _ checkpoints: CheckpointExchange,
        paths: [String: String]
    ) async throws -> ComputeProcess.Outcome {
        let output = JobFolders.output(in: jobFolder)
        FinishedWork.remove(from: jobFolder)
        try? FileManager.default.removeItem(atPath: output)
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        let launch = launch()
        let process = ComputeProcess(
            executable: executable,
            request: ComputeRequest(
                jobID: lease.jobID,
                kind: lease.kind,
                attempt: Int(lease.attempt),
                spec: String(decoding: lease.specJSON, as: UTF8.self),
                inputs: paths,
                inputFiles: lease.inputFiles,
                outputFolder: output,
                checkpointFolder: checkpoints.folder,
                threads: max(1, threads / (launch?.ranks.devices ?? 1)),
                ranksPerNode: launch?.ranks.devices,
                codeInterpreter: codeInterpreter
            ),
            stopGrace: Self.stopGrace,
            stallLimit: stallLimit,
            launch: launch
        )
        let staged = StagedCheckpoints(checkpoints, logger: logger)
        let uploads = Task {
            await staged.send { upload in
                try await limit.bounded(reserving: Self.reportReserve, upload)
            }
        }
        defer { try? FileManager.default.removeItem(atPath: checkpoints.staging) }
        let replica =
            lease.kind == Kind.serve.rawValue ? ReplicaLink(lease, worker: worker, link: link) : nil
        replica?.start()
        journal.enter(phase: "run")
        let result = await Swift.Result.of {
            try await process.run(
                commands: orders.commands,
                lines: replica?.lines,
                onEvent: { Self.take($0, journal, staged, replica) },
                onStandardError: { journal.appendLog($0) }
            )
        }
        await replica?.finish()
        limit.endComputing()
        switch result {
        // Outputs make checkpoints worthless; a kill waits for nothing.
        case .success(.succeeded), .success(.killed), .success(.drained): staged.abandon()
        default: journal.tell(phase: "storing the checkpoint")
        }
        staged.close()
        await finish(uploads, staged, orders)
        return try result.get()
    }

    /// Passes on what the child told.
    private static func take(
        _ event: ComputeEvent,
        _ journal: AttemptJournal,
        _ staged: StagedCheckpoints,
        _ replica: ReplicaLink?
    ) {
        if let news = event.replica {
            replica?.hear(news)
        } else if event.type == .checkpoint {
            staged.stage(step: event.step, name: event.message)
        } else {
            journal.append(event)
            event.message.map(journal.appendLog)
        }
    }

    /// How the job's ranks are started; nil where one process computes it.
    private func launch() -> (launcher: RankLauncher, ranks: RankLauncher.Ranks)? {
        // What cannot be read the child refuses.
        guard let launcher,
            let spec = try? JobSpec.parse(kind: lease.kind, json: Array(lease.specJSON))
        else { return nil }
        let ranks = RankLauncher.Ranks(
            devices: spec.devices(of: launcher.offered.devices),
            nodes: min(spec.resources.nodes, launcher.offered.nodes)
        )
        return ranks.count > 1 ? (launcher, ranks) : nil
    }

    /// Waits for uploads; for those that find no room, until somebody asks for a kill.
    private func finish(
        _ uploads: Task<Void, Never>,
        _ staged: StagedCheckpoints,
        _ orders: AttemptOrders
    ) async {
        try? await orders.interruptible(by: .kill) {
            await withTaskCancellationHandler {
                await uploads.value
            } onCancel: {
                staged.abandon()
            }
        }
    }
}

extension Lease {
    /// The files of the inputs by pointer, in the words of a compute request.
    fileprivate var inputFiles: [String: [ComputeRequest.InputFile]] {
        let files = inputs.map { input in
            (
                input.pointer,
                input.files.map {
                    ComputeRequest.InputFile(
                        path: $0.path,
                        size: $0.size,
                        sha256: $0.digest.hex
                    )
                }
            )
        }
        return Dictionary(files) { first, _ in first }
    }
}

extension Swift.Result where Failure == any Error {
    fileprivate static func of(_ body: () async throws -> Success) async -> Self {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}
