extension JobLifecycle {
    /// A heartbeat: the lease is extended, the reports that are new are taken.
    func hear(
        _ job: Job,
        _ claim: LeaseClaim,
        _ reports: [WorkerReport],
        _ moment: Moment
    ) -> Decision {
        var decision = Decision(job)
        guard job.isHeld(by: claim) else {
            decision.verdict = .leaseLost
            return decision
        }
        if job.state == .starting {
            decision.enter(.running, at: moment)
            decision.job.message = job.attemptBefore ?? ""
        }
        for (position, report) in reports.enumerated() {
            // A heartbeat whose answer was lost comes again; a worker numbers its events from 1.
            guard report.number == 0 || report.number > decision.job.reported else { continue }
            decision.job.reported = max(decision.job.reported, report.number)
            decision.job.lastSeq += 1
            decision.job.lastStep = max(decision.job.lastStep, report.step ?? 0)
            decision.reports.append(
                Decision.TakenReport(position: position, seq: decision.job.lastSeq)
            )
        }
        decision.lease = .lasts(leaseEnd(at: moment))
        return decision
    }

    /// A checkpoint: the newest of a lease counts, and that of a younger lease before an older one's.
    ///
    /// Whoever goes on from a checkpoint only comes to later steps. So an attempt that stores an
    /// earlier one could not use what its lease carried (damaged, or of other settings), nor could
    /// the next: its own takes that one's place, and progress is judged from there.
    func checkpoint(_ job: Job, _ claim: LeaseClaim, _ step: Int64) -> Decision {
        var decision = Decision(unchanged: job)
        guard job.isHeld(by: claim) else {
            decision.verdict = .leaseLost
            return decision
        }
        guard step > job.checkpointStep || job.checkpointEpoch != claim.epoch else {
            return decision
        }
        if step < job.checkpointStep {
            decision.job.lastStep = step
            decision.job.lostStep = min(job.lostStep, step - 1)
        }
        decision.job.checkpointStep = step
        decision.job.checkpointEpoch = claim.epoch
        return decision
    }

    /// The checkpoint goes, if nobody can go on from it at this moment: a retry begins anew.
    func forgetCheckpoint(_ job: Job) -> Decision {
        var decision = Decision(unchanged: job)
        guard job.state.isTerminal else {
            decision.verdict = .refused("job \(job.id) is \(job.state.rawValue)")
            return decision
        }
        decision.job.checkpointStep = 0
        decision.job.checkpointEpoch = 0
        return decision
    }

    /// The end of an attempt, as its worker tells it; the same report of the same lease is
    /// accepted again and changes nothing, another one is refused.
    func complete(
        _ job: Job,
        _ claim: LeaseClaim,
        _ completion: Completion,
        _ moment: Moment
    ) -> Decision {
        var decision = Decision(job)
        guard job.epoch == claim.epoch, job.holder == claim.holder else {
            decision.verdict = .leaseLost
            return decision
        }
        // It waits for the next lease: what put it back may come again, and nothing else.
        if job.state == .queued, completion.mayHavePutBack(job) { return decision }
        if mayHavePaused(job, claim, by: completion) { return decision }
        guard job.state.isLeased || job.state.isTerminal else {
            decision.verdict = .leaseLost
            return decision
        }
        guard !job.state.isTerminal else {
            if !mayHaveEnded(job, claim, by: completion) {
                decision.verdict = .refused(
                    "job \(job.id) ended as \(job.state.rawValue) under this lease, which is told otherwise now"
                )
            }
            return decision
        }
        switch completion {
        case .succeeded:
            decision.enter(.succeeded, at: moment)
            // Outputs make checkpoints worthless.
            decision.job.checkpointStep = 0
            decision.job.checkpointEpoch = 0
        case .stopped(let message) where job.isHeldBack || job.isResumed:
            release(&decision, .pausedBy, message, moment)
        case .stopped(let message) where job.cancellation == .none:
            let sentence = "its worker stopped it, which nobody had asked for"
            fail(&decision, .internalError, Self.joined(sentence, message), moment)
        case .stopped(let message):
            endStopped(&decision, message, moment)
        case .released(let message, let reason):
            release(&decision, reason, message, moment)
        case .failed(let reason, let message) where !reason.isOfWorkers:
            let word = reason == .none ? "no reason" : reason.rawValue
            let sentence = "its worker gave \(word), which is not a worker's to say"
            fail(&decision, .internalError, Self.joined(sentence, message), moment)
        // A replica that served for months and fails for the second time has got somewhere in between.
        case .failed(let reason, let message)
        where reason.isLoss || job.kind == .serve && reason.attemptLimit > 1:
            return recover(job, reason, message, moment)
        case .failed(let reason, let message):
            fail(&decision, reason, message, moment)
        }
        return decision
    }

    /// Whether a report would have ended a job that is over as it ended: what is repeated would, and the
    /// end that a worker told is not kept beside what came of it.
    private func mayHaveEnded(
        _ job: Job,
        _ claim: LeaseClaim,
        by completion: Completion
    ) -> Bool {
        var running = job
        running.state = job.cancellation == .none ? .running : .cancelling
        let end = complete(running, claim, completion, Moment(unix: 0, uptime: 0)).job
        return end.state == job.state && end.reason == job.reason
    }

    private static func joined(_ sentence: String, _ message: String) -> String {
        message.isEmpty ? sentence : "\(sentence): \(message)"
    }

    /// The worker hands its lease back: nobody is at fault, and nothing counts.
    private func release(
        _ decision: inout Decision,
        _ reason: JobReason,
        _ message: String,
        _ moment: Moment
    ) {
        if decision.job.cancellation != .none {
            endStopped(&decision, message, moment)
        } else if decision.before.state == .pausing {
            rest(&decision, reason, message, moment)
        } else {
            decision.enter(.recovering, reason, message, at: moment)
            decision.enter(.queued, reason, message, at: moment)
            // A worker without room says so when it asks again; one that does not must not spin.
            if reason == .noDisk { decision.delay = Self.noRoomDelay }
        }
    }

    /// How long a job waits that a worker had no room for, in milliseconds.
    private static let noRoomDelay: Int64 = 2_000

    private func fail(
        _ decision: inout Decision,
        _ reason: JobReason,
        _ message: String,
        _ moment: Moment
    ) {
        let job = decision.job
        if job.cancellation != .none {
            endStopped(&decision, message, moment)
        } else if job.failures + 1 >= reason.attemptLimit {
            decision.enter(.failed, reason, message, at: moment)
        } else {
            decision.enter(.recovering, reason, message, at: moment)
            decision.job.failures += 1
            if decision.before.state == .pausing {
                rest(&decision, reason, message, moment)
            } else {
                decision.enter(.queued, reason, Self.retryPrefix + message, at: moment)
            }
        }
    }

    /// What goes before the sentence of a failure after which a job waits for another attempt.
    static let retryPrefix = "trying again after: "

    /// A lease that ended by itself: back into the queue, or to rest if a user holds the job back, unless it
    /// was to end anyway or gets nowhere.
    ///
    /// Losses are judged by progress: a job may be lost any number of times, as long as each time it came
    /// beyond the furthest step before.
    func recover(
        _ job: Job,
        _ reason: JobReason,
        _ message: String,
        _ moment: Moment
    ) -> Decision {
        var decision = Decision(job)
        guard job.state.isLeased || job.state == .recovering else {
            decision.verdict = .leaseLost
            return decision
        }
        let isStuck = job.losses > 0 && job.lastStep <= job.lostStep
        if job.state != .recovering {
            decision.enter(.recovering, reason, message, at: moment)
        }
        decision.job.losses += 1
        decision.job.lossesAtStep = isStuck ? job.lossesAtStep + 1 : 1
        decision.job.lostStep = job.lastStep
        // Who was not heard of in time lost it; who told of its child's end gave it back, and may say so again.
        if reason == .workerLost { decision.job.holder = nil }
        if job.cancellation != .none {
            endStopped(&decision, message, moment)
        } else if decision.job.lossesAtStep >= crashLoopLimit {
            let count = decision.job.losses
            decision.enter(
                .failed,
                // Nothing crashed where disks were full.
                reason == .noDisk ? .noDisk : .crashLoop,
                """
                lost \(count) times, the last \(decision.job.lossesAtStep) without getting beyond step \
                \(job.lastStep): \(message)
                """,
                at: moment
            )
        } else if job.state == .pausing {
            rest(&decision, reason, message, moment)
        } else {
            decision.enter(.queued, reason, message, at: moment)
            decision.delay = decision.job.lossesAtStep > 1 ? Self.backoff : 0
        }
        return decision
    }

    /// How long a job that was lost twice in a row waits before it is handed out again, in milliseconds;
    /// after a loss that followed progress it does not wait.
    static let backoff: Int64 = 2_000
}

extension Completion {
    /// Whether this report may be the one that put a job back into the queue.
    fileprivate func mayHavePutBack(_ job: Job) -> Bool {
        switch self {
        case .succeeded: false
        // Nobody had asked for it: then that is what it was taken for; or for a pause that was taken back.
        case .stopped: job.reason == .internalError || job.reason == .pausedBy
        case .released(_, let reason): job.reason == reason
        case .failed(let reason, _):
            job.reason == (reason.isOfWorkers ? reason : .internalError)
        }
    }
}
