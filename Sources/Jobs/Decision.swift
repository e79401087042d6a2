/// What comes of an occurrence: the job as it is now, and what to tell whom.
public struct Decision: Sendable, Equatable {
    /// Whether it happened.
    public enum Verdict: Sendable, Equatable {
        /// It did, or it had before.
        case accepted
        /// The caller's lease is not the job's; nothing happened.
        case leaseLost
        /// The job's state does not allow it; nothing happened.
        case refused(String)
    }

    /// What to do about the lease.
    public enum LeaseChange: Sendable, Equatable {
        /// Nothing.
        case none
        /// It lasts until this reading of ``Moment/uptime``.
        case lasts(Int64)
        /// There is none any more.
        case ends
    }

    /// A change of state, as the job's history tells it.
    public struct Entry: Sendable, Equatable {
        /// Its number in the history.
        public let seq: Int64
        /// When, in Unix milliseconds.
        public let time: Int64
        /// The state entered.
        public let state: JobState
        /// Why.
        public let reason: JobReason
        /// Why, as a sentence.
        public let message: String
    }

    /// A worker's report that is taken into the history.
    public struct TakenReport: Sendable, Equatable {
        /// Its place among those that came.
        public let position: Int
        /// Its number in the history.
        public let seq: Int64
    }

    /// Whether it happened.
    public var verdict: Verdict
    /// The job before.
    public let before: Job
    /// The job after.
    public var job: Job
    /// The states entered, in order.
    public var entries: [Entry] = []
    /// The reports taken, in order, after the states.
    public var reports: [TakenReport] = []
    /// What to do about the lease.
    public var lease = LeaseChange.none
    /// How long a queued job is not to be handed out yet, in milliseconds.
    public var delay: Int64 = 0

    /// Whether there is anything to store.
    public var isChange: Bool { job != before }
    /// Whether the job ended here.
    public var isEnd: Bool { job.state.isTerminal && !before.state.isTerminal }
    /// Whether workers that wait for a job should look again.
    public var wakesQueue: Bool { job.state == .queued && before.state != .queued }

    /// A decision that nothing happens.
    public init(unchanged job: Job) { self.init(job) }

    init(_ job: Job) {
        verdict = .accepted
        before = job
        self.job = job
    }

    /// Enters a state, if the table allows it.
    mutating func enter(
        _ state: JobState,
        _ reason: JobReason = .none,
        _ message: String = "",
        at moment: Moment
    ) {
        guard job.state.successors.contains(state) else {
            verdict = .refused("job \(job.id) is \(job.state.rawValue)")
            return
        }
        job.state = state
        job.reason = reason
        job.message = message
        job.lastSeq += 1
        if state.isTerminal {
            job.finished = moment.unix
        }
        if !state.isLeased {
            lease = .ends
        }
        entries.append(
            Entry(
                seq: job.lastSeq,
                time: moment.unix,
                state: state,
                reason: reason,
                message: message
            )
        )
    }
}
