internal import AsyncAlgorithms
internal import Foundation
internal import Logging
internal import Protocol

/// Runs one leased attempt from fetching its inputs to reporting its end.
struct AttemptRunner: Sendable {
    let lease: Lease
    let instance: String
    let bootID: String
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
        /// The lease is lost or the daemon stops; the gateway will hand the job out again.
        case abandoned
    }

    /// Runs the attempt.
    ///
    /// A cancelled task asks the child for a checkpoint and abandons the lease.
    func run() async -> End {
        let journal = AttemptJournal(jobID: lease.jobID)
        let (commands, commandInput) = AsyncStream<ComputeProcess.Command>.makeStream()
        logger.info("attempt \(lease.attempt) of job \(lease.jobID) (\(lease.kind)) begins")
        let end = await withTaskGroup(of: End?.self) { group in
            group.addTask {
                await heartbeats(journal, commandInput)
                return nil
            }
            group.addTask {
                await withTaskCancellationHandler {
                    await attempt(journal, commands: commands)
                } onCancel: {
                    commandInput.yield(.stop)
                }
            }
            var end: End?
            while end == nil {
                guard let next = await group.next() else {
                    break
                }
                end = next
            }
            group.cancelAll()
            return end ?? .abandoned
        }
        commandInput.finish()
        journal.finish()
        logger.info("attempt \(lease.attempt) of job \(lease.jobID) ended: \(end)")
        return end
    }

    private func attempt(
        _ journal: AttemptJournal,
        commands: AsyncStream<ComputeProcess.Command>
    ) async -> End {
        let outcome: ComputeProcess.Outcome
        do {
            journal.enter(phase: "fetch")
            let paths = try await inputs.materialize(lease.inputs, in: jobFolder + "/inputs")
            outcome = try await compute(journal, paths: paths, commands: commands)
        } catch {
            if Task.isCancelled {
                return .abandoned
            }
            logger.error("job \(lease.jobID): \(error)")
            outcome = .failed(reason: "INTERNAL", message: "\(error)")
        }
        return await report(outcome, journal)
    }

    private func compute(
        _ journal: AttemptJournal,
        paths: [String: String],
        commands: AsyncStream<ComputeProcess.Command>
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
                checkpointFolder: jobFolder + "/checkpoints",
                threads: threads
            ),
            stopGrace: Self.stopGrace,
            stallLimit: stallLimit
        )
        journal.enter(phase: "run")
        // The child outlives the cancellation of this task by design: it is asked to stop through
        // `commands` and gets its grace there.
        return try await Task {
            try await process.run(
                commands: commands,
                onEvent: { event in
                    journal.append(event)
                    if let message = event.message {
                        journal.appendLog(message)
                    }
                },
                onStandardError: { journal.appendLog($0) }
            )
        }.value
    }

    /// Sends heartbeats until cancelled; passes the gateway's wishes on to the child.
    private func heartbeats(
        _ journal: AttemptJournal,
        _ commands: AsyncStream<ComputeProcess.Command>.Continuation
    ) async {
        // A heartbeat goes out when something happened, but no more than four a second, and at the
        // interval when nothing did. The stream of news has one consumer for the attempt's whole
        // life: cancelling a consumer ends an AsyncStream, and the loop would spin.
        let ticks = AsyncTimerSequence(interval: heartbeatInterval, clock: .continuous).map { _ in }
        for await _ in merge(ticks, journal.isDue) {
            switch await beat(journal) {
            case .cancel: commands.yield(.stop)
            case .cancelNow, .lost: commands.yield(.kill)
            case .continue, nil: break
            }
            try? await Task.sleep(for: .milliseconds(250))
        }
    }

    private func beat(_ journal: AttemptJournal) async -> HeartbeatResponse.Directive? {
        let events = journal.pendingEvents()
        let request = HeartbeatRequest(
            jobID: lease.jobID,
            epoch: lease.epoch,
            instance: instance,
            bootID: bootID,
            events: events,
            runningPhase: journal.phase
        )
        do {
            let response = try await link.client.call(QatMethods.heartbeat, request)
            journal.confirm(eventCount: events.count)
            await sendLog(journal)
            return response.directive
        } catch {
            logger.warning("heartbeat of job \(lease.jobID): \(error)")
            return nil
        }
    }

    private func sendLog(_ journal: AttemptJournal) async {
        guard let (offset, bytes) = journal.pendingLog() else {
            return
        }
        let request = AppendLogRequest(
            jobID: lease.jobID,
            epoch: lease.epoch,
            offset: offset,
            data: bytes
        )
        guard let response = try? await link.client.call(QatMethods.appendLog, request) else {
            return
        }
        if response.nextOffset == offset + UInt64(bytes.count) {
            journal.confirmLog(byteCount: bytes.count, nextOffset: response.nextOffset)
        } else {
            // An earlier attempt wrote to the same log: go on where it ends.
            journal.moveLog(to: response.nextOffset)
        }
    }

    private func report(_ outcome: ComputeProcess.Outcome, _ journal: AttemptJournal) async -> End {
        var request = CompleteLeaseRequest(jobID: lease.jobID, epoch: lease.epoch)
        do {
            switch outcome {
            case .succeeded(let results):
                journal.enter(phase: "publish")
                request.outcome = .succeeded
                request.resultsJSON = Array(results.utf8)
                request.outputs = try await publisher.publish(jobFolder + "/output")
            case .failed(let reason, let message):
                request.outcome = .failed
                request.reason = reason
                request.message = String(message.prefix(1000))
                if reason == ComputeFailure.Reason.exportFailed.rawValue {
                    // One failing export does not cost the others.
                    journal.enter(phase: "publish")
                    request.outputs = try await publisher.publish(jobFolder + "/output")
                }
            case .stopped:
                if Task.isCancelled {
                    return .abandoned
                }
                request.outcome = .cancelled
                request.reason = "CANCELLED_BY"
                request.message = "stopped as asked"
            }
            await drain(journal)
            let completed = request
            let response = try await link.untilAnswered("completing job \(lease.jobID)") {
                try await link.client.call(QatMethods.completeLease, completed)
            }
            let isDone = completed.outcome == .succeeded
            return response.accepted ? .reported(isDone: isDone) : .abandoned
        } catch {
            logger.error("job \(lease.jobID) cannot be reported: \(error)")
            return .abandoned
        }
    }

    /// Sends what events and log lines are left, so that they precede the end.
    private func drain(_ journal: AttemptJournal) async {
        for _ in 0..<64 {
            guard !journal.pendingEvents().isEmpty || journal.pendingLog() != nil,
                await beat(journal) != nil
            else {
                return
            }
        }
    }
}
