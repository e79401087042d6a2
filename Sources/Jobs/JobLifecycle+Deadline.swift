extension JobLifecycle {
    /// When a job's time is over, as a reading of ``Moment/uptime``; nil if it has no deadline, or none
    /// that still matters.
    ///
    /// To be asked once, when the gateway learns of the job, and counted on the clock that never jumps
    /// from there. The wall clock says how much time is left, but never more than there was at first.
    public func deadlineEnd(of job: Job, at moment: Moment) -> Int64? {
        guard let deadline = job.deadline, !job.state.isTerminal, job.cancellation == .none else {
            return nil
        }
        return moment.uptime + max(0, min(deadline - moment.unix, deadline - job.created))
    }

    /// A job's time is over: one that waits or rests fails, one that runs is asked to stop, with a checkpoint.
    func endInTime(_ job: Job, _ moment: Moment) -> Decision {
        var decision = Decision(job)
        // A job that is to end anyway ends for the reason it has.
        guard job.deadline != nil, job.cancellation == .none,
            job.state.isWaiting || [.starting, .running, .pausing].contains(job.state)
        else { return decision }
        decision.job.isOverdue = true
        guard job.state.isLeased else {
            let when = job.state == .paused ? "while it was paused" : "before it began"
            decision.enter(.failed, .deadline, "its deadline passed \(when)", at: moment)
            return decision
        }
        decision.job.cancellation = .gently
        decision.enter(.cancelling, .deadline, "its deadline has passed", at: moment)
        return decision
    }

    /// The end of a job that was asked to stop: by a user, or by its deadline.
    func endStopped(_ decision: inout Decision, _ message: String, _ moment: Moment) {
        if decision.job.isOverdue {
            let sentence = "its deadline has passed" + (message.isEmpty ? "" : "; \(message)")
            decision.enter(.failed, .deadline, sentence, at: moment)
        } else {
            // Who cancelled it is said where the stop began.
            let request = decision.before.state == .cancelling ? decision.before.message : ""
            let sentences = [request, message].filter { !$0.isEmpty }
            decision.enter(
                .cancelled,
                .cancelledBy,
                sentences.joined(separator: "; "),
                at: moment
            )
        }
    }
}
