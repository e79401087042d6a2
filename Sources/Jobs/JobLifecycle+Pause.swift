extension JobLifecycle {
    /// A user holds a job back: one that waits rests at once, one that runs is asked to stop, with a checkpoint.
    ///
    /// Nothing of it is forgotten, and what waits for it goes on waiting.
    func pause(_ job: Job, _ user: String, _ moment: Moment) -> Decision {
        var decision = Decision(job)
        // Asked again: whoever was first holds it.
        guard !job.isHeldBack else { return decision }
        guard !job.state.isTerminal, job.state != .cancelling else {
            decision.verdict = .refused(
                "job \(job.id) is \(job.state.rawValue); what is over, or about to end, is not paused"
            )
            return decision
        }
        // How its last attempt ended is told when the next one begins.
        let words = [Job.pauseWords(of: user), Job.end(ofAttempt: job)].compactMap(\.self)
        decision.enter(
            job.state.isLeased ? .pausing : .paused,
            .pausedBy,
            words.joined(separator: Job.pauseSeparator),
            at: moment
        )
        return decision
    }

    /// A user lets a job go on: one that rests waits again, one whose worker was asked to stop need not any more.
    ///
    /// Such a worker may have begun to stop; what it hands back then is queued.
    func resume(
        _ job: Job,
        _ user: String,
        _ inputs: InputsVerdict,
        _ moment: Moment
    ) -> Decision {
        var decision = Decision(job)
        switch job.state {
        case .paused:
            decision.enter(.blocked, .none, Job.resumptionWords(of: user), at: moment)
            waitAgain(&decision, inputs, moment)
            if decision.job.state == .queued, !job.wordsAfterPause.isEmpty {
                decision.job.reason = .pausedBy
                decision.job.message = job.wordsAfterPause
            }
        case .pausing:
            decision.enter(.running, .none, Job.resumptionWords(of: user), at: moment)
        // It goes on already.
        case .blocked, .queued, .starting, .running, .recovering: break
        case .cancelling, .succeeded, .failed, .cancelled:
            let isRetried = job.state == .failed || job.state == .cancelled
            decision.verdict = .refused(
                "job \(job.id) is \(job.state.rawValue); only paused jobs are resumed"
                    + (isRetried ? ", this one is retried (qat-client retry \(job.id))" : "")
            )
        }
        return decision
    }

    /// Whether a report may be of the lease after which a job rests, or rested until it was resumed: it would have
    /// been no end of the job.
    ///
    /// What counts against the job counted when the report came first.
    func mayHavePaused(_ job: Job, _ claim: LeaseClaim, by completion: Completion) -> Bool {
        guard job.state == .paused || job.state == .queued && job.reason == .pausedBy else {
            return false
        }
        var pausing = job
        pausing.state = .pausing
        pausing.failures = 0
        pausing.losses = 0
        return complete(pausing, claim, completion, Moment(unix: 0, uptime: 0)).job.state == .paused
    }

    /// Lets a job rest whose lease ended while a user held it back; who that is, is said first.
    func rest(
        _ decision: inout Decision,
        _ reason: JobReason,
        _ message: String,
        _ moment: Moment
    ) {
        let end = [reason == .pausedBy ? "" : reason.rawValue, message].filter { !$0.isEmpty }
        let sentences = [decision.before.message, end.joined(separator: ": ")]
        decision.enter(
            .paused,
            .pausedBy,
            sentences.filter { !$0.isEmpty }.joined(separator: Job.pauseSeparator),
            at: moment
        )
    }
}

extension Job {
    /// Whether a user holds it back.
    public var isHeldBack: Bool { state == .paused || state == .pausing }

    /// Who holds it back, in words; nil if nobody does.
    public var pauseWords: String? {
        // No user's name has a semicolon.
        isHeldBack ? String(message.prefix { $0 != ";" }) : nil
    }

    /// How the last attempt of a job that rests ended; empty if it had none, or nothing was said.
    var wordsAfterPause: String {
        guard let words = pauseWords else { return "" }
        return String(message.dropFirst(words.count + Self.pauseSeparator.count))
    }

    /// Whether its worker may have been told to stop for a pause that was taken back since: it need not know why.
    var isResumed: Bool { state == .running && message.hasPrefix(Self.resumption) }

    static let pauseSeparator = "; "

    static func pauseWords(of user: String) -> String { "paused by \(user)" }

    static func resumptionWords(of user: String) -> String { resumption + user }

    private static let resumption = "resumed by "
}
