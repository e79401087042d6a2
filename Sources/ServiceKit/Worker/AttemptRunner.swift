internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol

/// Runs one leased attempt from fetching its inputs to reporting its end.
struct AttemptRunner: Sendable {
    let lease: Lease
    let worker: WorkerIdentity
    let heartbeatInterval: Duration
    let jobFolder: String
    let inputs: InputStore
    let publisher: OutputPublisher
    let link: GatewayLink
    let executable: String
    let threads: Int
    let stallLimit: Duration
    let logger: Logger

    /// How long a stopping child may take: a checkpoint of a large model is several gigabytes.
    private static let stopGrace = Duration.seconds(120)

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
        logger.info("attempt \(lease.attempt) of job \(lease.jobID) (\(lease.kind)) begins")
        // These outlive the cancellation of this task: a stopping daemon has things to do and to tell.
        let reports = Task { await reporter.run(orders) }
        let wishes = Task { await reporter.listen(orders) }
        let attempt = Task { await self.attempt(reporter, orders) }
        let end = await withTaskCancellationHandler {
            let outcome = await attempt.value
            let isStopping = Task.isCancelled
            return await Task { await report(outcome, reporter, orders, isStopping) }.value
        } onCancel: {
            orders.give(.stop)
        }
        reports.cancel()
        wishes.cancel()
        orders.finish()
        reporter.journal.finish()
        logger.info("attempt \(lease.attempt) of job \(lease.jobID) ended: \(end)")
        return end
    }

    private func attempt(
        _ reporter: AttemptReporter,
        _ orders: AttemptOrders
    ) async -> ComputeProcess.Outcome {
        let checkpoints = CheckpointExchange(
            lease: lease,
            worker: worker,
            folder: jobFolder + "/checkpoints",
            staging: jobFolder + "/upload",
            inputs: inputs,
            publisher: publisher,
            link: link,
            logger: logger
        )
        do {
            reporter.journal.enter(phase: "fetch")
            let paths = try await orders.interruptible(isStoppable: true) {
                try await checkpoints.restore()
                return try await inputs.materialize(lease.inputs, in: jobFolder + "/inputs")
            }
            return try await compute(reporter.journal, orders, checkpoints, paths: paths)
        } catch {
            if let order = orders.given {
                return order == .kill ? .killed : .stopped
            }
            logger.error("job \(lease.jobID): \(error)")
            if error.isFullDisk {
                return .failed(
                    reason: .noDisk,
                    message:
                        "the disk of worker \(worker.instance) is full: the inputs do not fit"
                )
            }
            return .failed(reason: .internalError, message: "\(error)")
        }
    }

    private func compute(
        _ journal: AttemptJournal,
        _ orders: AttemptOrders,
        _ checkpoints: CheckpointExchange,
        paths: [String: String]
    ) async throws -> ComputeProcess.Outcome {
        let output = jobFolder + "/output"
        try? FileManager.default.removeItem(atPath: output)
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        let process = ComputeProcess(
            executable: executable,
            request: ComputeRequest(
                jobID: lease.jobID,
                kind: lease.kind,
                attempt: Int(lease.attempt),
                spec: String(decoding: lease.specJSON, as: UTF8.self),
                inputs: paths,
                outputFolder: output,
                checkpointFolder: checkpoints.folder,
                threads: threads
            ),
            stopGrace: Self.stopGrace,
            stallLimit: stallLimit
        )
        // An upload that is behind gives way to the newest checkpoint.
        let (staged, stage) = AsyncStream<CheckpointExchange.Notice>.makeStream(
            bufferingPolicy: .bufferingNewest(1)
        )
        let uploads = Task { for await notice in staged { await checkpoints.upload(notice) } }
        defer { try? FileManager.default.removeItem(atPath: checkpoints.staging) }
        journal.enter(phase: "run")
        let result = await Swift.Result.of {
            try await process.run(
                commands: orders.commands,
                onEvent: { event in
                    if event.type == .checkpoint {
                        checkpoints.stage(step: event.step, name: event.message).map {
                            _ = stage.yield($0)
                        }
                        return
                    }
                    journal.append(event)
                    if let message = event.message {
                        journal.appendLog(message)
                    }
                },
                onStandardError: { journal.appendLog($0) }
            )
        }
        stage.finish()
        let outcome = try result.get()
        switch outcome {
        // Outputs make checkpoints worthless; a kill waits for nothing.
        case .succeeded, .killed: uploads.cancel()
        case .failed, .stopped: journal.enter(phase: "store checkpoint")
        }
        await uploads.value
        return outcome
    }

    private func report(
        _ outcome: ComputeProcess.Outcome,
        _ reporter: AttemptReporter,
        _ orders: AttemptOrders,
        _ isStopping: Bool
    ) async -> End {
        do {
            let request = try await request(outcome, reporter, orders, isStopping)
            await reporter.drain()
            return try await send(request)
        } catch {
            logger.error("job \(lease.jobID) cannot be reported: \(error)")
            return .abandoned
        }
    }

    private func send(_ request: CompleteLeaseRequest) async throws -> End {
        do {
            return try await complete(request)
        } catch let error as RPCError
            where error.code == .failedPrecondition && !request.outputs.isEmpty
        {
            // An output that was there when it was asked for is gone: brought once more.
            logger.warning("job \(lease.jobID): \(error.message); uploading again")
            _ = try await publisher.publish(jobFolder + "/output")
            return try await complete(request)
        }
    }

    private func complete(_ request: CompleteLeaseRequest) async throws -> End {
        do {
            let response = try await link.untilAnswered("completing job \(lease.jobID)") {
                try await link.client.call(QatMethods.completeLease, request)
            }
            return response.accepted
                ? .reported(isDone: request.outcome == .succeeded) : .abandoned
        } catch let error as RPCError
            where error.code == .invalidArgument
            && [.succeeded, .failed].contains(request.outcome)
        {
            // Results that the gateway cannot keep end the job with a sentence; running it again
            // would make the same ones.
            let failure = CompleteLeaseRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                outcome: .failed,
                reason: JobReason.userError.rawValue,
                message: "the gateway refuses the results: \(error.message)",
                bootID: worker.bootID
            )
            let response = try await link.client.call(QatMethods.completeLease, failure)
            return response.accepted ? .reported(isDone: false) : .abandoned
        }
    }

    /// What the gateway is told of an outcome; what belongs to it is in the store by then.
    private func request(
        _ outcome: ComputeProcess.Outcome,
        _ reporter: AttemptReporter,
        _ orders: AttemptOrders,
        _ isStopping: Bool
    ) async throws -> CompleteLeaseRequest {
        var request = CompleteLeaseRequest(
            jobID: lease.jobID,
            epoch: lease.epoch,
            bootID: worker.bootID
        )
        func publish() async throws -> [OutputFile] {
            reporter.journal.enter(phase: "publish")
            return try await orders.interruptible(isStoppable: false) {
                try await publisher.publish(jobFolder + "/output") { reporter.journal.note($0) }
            }
        }
        do {
            switch outcome {
            case .succeeded(let results):
                request.outcome = .succeeded
                request.resultsJSON = Array(results.utf8)
                request.outputs = try await publish()
                return request
            case .failed(let reason, let message):
                request.outcome = .failed
                request.reason = reason.rawValue
                request.message = String(message.prefix(1000))
                if reason == .exportFailed {
                    // One failing export does not cost the others.
                    request.outputs = try await publish()
                }
                return request
            case .stopped, .killed: break
            }
        } catch  where orders.given == .kill {
            request = CompleteLeaseRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                bootID: worker.bootID
            )
        }
        request.outcome = isStopping ? .released : .cancelled
        request.reason = isStopping ? "" : JobReason.cancelledBy.rawValue
        request.message =
            isStopping ? "worker \(worker.instance) is stopping" : "stopped as asked"
        return request
    }
}

extension Swift.Result where Failure == any Error {
    fileprivate static func of(_ body: () async throws -> Success) async -> Self {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}
