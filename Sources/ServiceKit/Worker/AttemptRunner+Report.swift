internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol

// How an attempt ends as far as the gateway is concerned.
extension AttemptRunner {
    func report(
        _ outcome: ComputeProcess.Outcome,
        _ reporter: AttemptReporter,
        _ orders: AttemptOrders,
        _ limit: StopLimit,
        _ isStopping: Bool
    ) async -> End {
        do {
            return try await limit.bounded {
                let request = try await request(outcome, reporter, orders, isStopping)
                await reporter.drain()
                // An end that was asked for is told, however often it is asked for.
                guard [.succeeded, .failed].contains(request.outcome) else {
                    return try await send(request)
                }
                do {
                    return try await orders.interruptible(by: .killAskedFor) {
                        try await send(request)
                    }
                } catch  where orders.isKillAskedFor {
                    return try await complete(ended(orders, isStopping))
                }
            }
        } catch is LostLease {
            logger.info("job \(lease.jobID): the lease is lost, and with it this attempt")
            return .abandoned
        } catch {
            guard limit.isOver() else {
                logger.error("job \(lease.jobID) cannot be reported: \(FileFault.text(of: error))")
                return .abandoned
            }
            let rest =
                if case .succeeded = outcome {
                    "its finished outputs stay in \(jobFolder) and are published when it comes back here"
                } else { "its newest checkpoint stays in \(jobFolder)" }
            logger.error(
                """
                job \(lease.jobID): the gateway was waited for \(gatewayLimit.components.seconds) s while \
                this worker stops; \(rest)
                """
            )
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
            try await publisher.publish(request.outputs, in: JobFolders.output(in: jobFolder))
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
        func publish(results: String?) async throws -> [OutputFile] {
            reporter.journal.tell(phase: Self.storing)
            return try await orders.interruptible(by: .kill) {
                let folder = JobFolders.output(in: jobFolder)
                let outputs = try OutputPublisher.inventory(folder)
                if let results { keep(FinishedWork(lease, results: results, outputs: outputs)) }
                try await publisher.publish(
                    outputs,
                    in: folder,
                    onDelay: { what, error in tellDelay(what, error, reporter.journal) }
                )
                return outputs
            }
        }
        do {
            switch outcome {
            // Handed back, or held back, it goes on later; otherwise this was all of it.
            case .drained where isStopping || orders.isPause: break
            case .succeeded(let results), .drained(let results):
                request.outcome = .succeeded
                request.resultsJSON = Array(results.utf8)
                request.outputs = try await publish(results: results)
                return request
            case .failed(let reason, let message):
                request.outcome = .failed
                request.reason = reason.rawValue
                request.message = String(message.prefix(1000))
                if reason == .exportFailed {
                    // One failing export does not cost the others.
                    request.outputs = try await publish(results: nil)
                }
                return request
            case .unfit(let message):
                request.outcome = .released
                request.reason = JobReason.noDisk.rawValue
                request.message = "the disk of worker \(worker.instance) is full: \(message)"
                return request
            case .stopped, .killed: break
            }
        } catch  where orders.given == .kill {}
        guard !orders.isLost else { throw LostLease() }
        return ended(orders, isStopping)
    }

    /// What the gateway is told of an attempt that ends without a result, as it was asked to.
    private func ended(_ orders: AttemptOrders, _ isStopping: Bool) -> CompleteLeaseRequest {
        var request = CompleteLeaseRequest(
            jobID: lease.jobID,
            epoch: lease.epoch,
            outcome: .cancelled,
            reason: JobReason.cancelledBy.rawValue,
            message: "stopped as asked",
            bootID: worker.bootID
        )
        if isStopping {
            request.outcome = .released
            request.reason = ""
            request.message = "worker \(worker.instance) is stopping"
        } else if orders.isPause {
            request.outcome = .released
            request.reason = JobReason.pausedBy.rawValue
        }
        return request
    }

    /// The phase of a job whose outputs go to the gateway.
    static let storing = "storing outputs"

    /// Says what keeps the outputs, in the phase in its first words, in the job's events and log in a sentence.
    private func tellDelay(_ what: String, _ error: RPCError?, _ journal: AttemptJournal) {
        guard let error else { return journal.tell(phase: Self.storing) }
        let words = error.message.prefix { $0 != ":" && $0 != ";" }
        journal.tell(phase: "\(Self.storing): \(words)")
        journal.note("\(what): \(error.message); trying again until it works")
    }

    /// There is nobody to tell the end of an attempt to.
    private struct LostLease: Error {}

    /// Leaves what was finished for the case that this worker ends before the gateway has it.
    private func keep(_ work: FinishedWork) {
        do {
            try work.write(to: jobFolder)
        } catch {
            logger.warning(
                "job \(lease.jobID): \(FileFault.text(of: error)); a restart would compute it again"
            )
        }
    }
}
