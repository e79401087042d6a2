/// The rules of a job's life: a job and an occurrence in, a decision out.
///
/// Pure: it reads no clock, stores nothing and wakes nobody; its caller does, and stores the
/// decision only if the job is still the one that was decided on.
public struct JobLifecycle: Sendable {
    /// How long a lease lasts without a heartbeat, in milliseconds.
    public let leaseDuration: Int64
    /// Losses in a row, each without getting beyond the furthest step before, after which a job fails.
    public var crashLoopLimit: Int64 = 3

    /// Rules with leases of a duration in milliseconds.
    public init(leaseDuration: Int64) {
        self.leaseDuration = leaseDuration
    }

    /// A new job: it is BLOCKED until its inputs were looked at, which happens here, too.
    ///
    /// `deadline`: When its time is over, in Unix milliseconds.
    public func submit(
        id: String,
        kind: Kind,
        by user: String,
        inputs: InputsVerdict,
        deadline: Int64? = nil,
        at moment: Moment
    ) -> Decision {
        var job = Job(id: id, kind: kind, created: moment.unix)
        job.lastSeq = 1
        job.deadline = deadline
        var decision = decide(.inputsSettled(inputs), job, at: moment)
        decision.entries.insert(
            Decision.Entry(
                seq: 1,
                time: moment.unix,
                state: .blocked,
                reason: .none,
                message: "submitted by \(user)"
            ),
            at: 0
        )
        return decision
    }

    /// What comes of an occurrence.
    public func decide(_ occurrence: Occurrence, _ job: Job, at moment: Moment) -> Decision {
        switch occurrence {
        case .inputsSettled(let verdict): settle(verdict, job, moment)
        case .leased(let holder): lease(job, to: holder, moment)
        case .heartbeat(let claim, let reports): hear(job, claim, reports, moment)
        case .checkpointed(let claim, let step): checkpoint(job, claim, step)
        case .completed(let claim, let completion): complete(job, claim, completion, moment)
        case .cancelled(let isNow, let user): cancel(job, isNow, user, moment)
        case .paused(let user): pause(job, user, moment)
        case .resumed(let user, let inputs): resume(job, user, inputs, moment)
        case .retried(let user, let inputs): retry(job, user, inputs, moment)
        case .checkpointExpired: forgetCheckpoint(job)
        case .deadlinePassed: endInTime(job, moment)
        case .leaseEnded(let message): recover(job, .workerLost, message, moment)
        }
    }

    /// When a lease ends that is extended, or taken up again after the gateway's own absence, at
    /// this moment.
    ///
    /// After its absence the gateway knows nothing of what workers did; each gets a whole duration
    /// to be heard, whatever the wall clock says.
    public func leaseEnd(at moment: Moment) -> Int64 { moment.uptime + leaseDuration }

    private func settle(_ verdict: InputsVerdict, _ job: Job, _ moment: Moment) -> Decision {
        var decision = Decision(job)
        // Somebody else was faster, or the job waits no more: its inputs matter to nobody now.
        guard job.state == .blocked else { return decision }
        leaveBlocked(&decision, verdict, moment)
        return decision
    }

    private func leaveBlocked(
        _ decision: inout Decision,
        _ verdict: InputsVerdict,
        _ moment: Moment
    ) {
        switch verdict {
        case .ready: decision.enter(.queued, at: moment)
        case .waiting: break
        case .never(let message): decision.enter(.failed, .artifactMissing, message, at: moment)
        case .neverStarts(let message):
            decision.enter(.failed, .dependencyFailed, message, at: moment)
        case .reused(let source):
            decision.job.reusedFrom = source
            decision.enter(.succeeded, .none, "reused from job \(source)", at: moment)
        }
    }

    private func lease(_ job: Job, to holder: LeaseHolder, _ moment: Moment) -> Decision {
        var decision = Decision(job)
        decision.enter(.starting, .none, "leased to \(holder.worker.instance)", at: moment)
        guard decision.verdict == .accepted else { return decision }
        // Shown as long as the attempt lasts: nothing else says that there was another one.
        if let words = Job.account(ofAttempt: job) { decision.job.message = words }
        decision.job.holder = holder
        decision.job.epoch += 1
        decision.job.attempt += 1
        decision.job.reported = 0
        decision.job.started = job.started ?? moment.unix
        decision.lease = .lasts(leaseEnd(at: moment))
        return decision
    }

    private func cancel(_ job: Job, _ isNow: Bool, _ user: String, _ moment: Moment) -> Decision {
        var decision = Decision(job)
        guard !job.state.isTerminal else { return decision }
        if isNow || job.cancellation == .none {
            decision.job.cancellation = isNow ? .now : .gently
        }
        let sentence = "cancelled by \(user)"
        guard job.state != .cancelling else {
            // Asked again, perhaps more firmly: the state stands. Who cancels gets a cancelled job, even if
            // its time is over, too.
            if job.isOverdue {
                decision.job.isOverdue = false
                decision.job.reason = .cancelledBy
                decision.job.message = sentence
            }
            return decision
        }
        decision.enter(
            job.state.isLeased ? .cancelling : .cancelled,
            .cancelledBy,
            sentence,
            at: moment
        )
        return decision
    }

    private func retry(
        _ job: Job,
        _ user: String,
        _ inputs: InputsVerdict,
        _ moment: Moment
    ) -> Decision {
        var decision = Decision(job)
        guard job.state == .failed || job.state == .cancelled else {
            let hint =
                job.isHeldBack
                ? "resume it (qat-client resume \(job.id))"
                : "only failed and cancelled jobs are retried"
            decision.verdict = .refused("job \(job.id) is \(job.state.rawValue); \(hint)")
            return decision
        }
        decision.enter(.blocked, .none, "retried by \(user)", at: moment)
        decision.job.cancellation = .none
        decision.job.losses = 0
        decision.job.lossesAtStep = 0
        decision.job.failures = 0
        // Whoever takes it begins here, and comes further or does not.
        decision.job.lastStep = job.checkpointStep
        decision.job.lostStep = job.checkpointStep
        decision.job.finished = nil
        // A deadline that has passed would end it again at once.
        if job.isOverdue || (job.deadline ?? .max) <= moment.unix { decision.job.deadline = nil }
        decision.job.isOverdue = false
        waitAgain(&decision, inputs, moment)
        return decision
    }

    /// Has a job that a user brought back wait for what it needs, or go on.
    func waitAgain(_ decision: inout Decision, _ inputs: InputsVerdict, _ moment: Moment) {
        leaveBlocked(&decision, inputs, moment)
        // Said in its history; what it waits for now is another matter.
        if decision.job.state == .blocked { decision.job.message = "" }
    }
}
