/// A job's life: everything that decides what may happen to it next.
///
/// What it computes (specification, inputs, outputs) is not here; it decides nothing.
public struct Job: Sendable, Equatable {
    /// How firmly a user asked for the end.
    public enum Cancellation: Int64, Sendable {
        /// Not at all.
        case none = 0
        /// After a checkpoint.
        case gently = 1
        /// At once.
        case now = 2
    }

    /// Its id.
    public let id: String
    /// What it does.
    public let kind: Kind
    /// Where it stands.
    public var state: JobState
    /// Why it stands there.
    public var reason = JobReason.none
    /// The reason as a sentence.
    public var message = ""
    /// Counts the changes that were stored; a change is stored only over the version it was made
    /// from.
    public var version: Int64 = 1
    /// Counts leases; a lease is worthless once there is a younger one.
    public var epoch: Int64 = 0
    /// Attempts begun.
    public var attempt: Int64 = 0
    /// Leases lost.
    public var losses: Int64 = 0
    /// Leases lost in a row without getting beyond the furthest training step before.
    public var lossesAtStep: Int64 = 0
    /// The furthest training step at the last loss.
    public var lostStep: Int64 = 0
    /// Attempts that failed and were tried again.
    public var failures: Int64 = 0
    /// The furthest training step reached since the submission, the last retry, or a checkpoint that takes a
    /// later one's place.
    public var lastStep: Int64 = 0
    /// The training step of its newest stored checkpoint; 0 without one.
    public var checkpointStep: Int64 = 0
    /// The number of the lease under which that one was stored.
    public var checkpointEpoch: Int64 = 0
    /// Who holds the lease, or held the last one.
    public var holder: LeaseHolder?
    /// Whether a user wants it to end.
    public var cancellation = Cancellation.none
    /// The number of its newest event.
    public var lastSeq: Int64 = 0
    /// The number of the worker's last report that was taken under the present lease.
    public var reported: Int64 = 0
    /// Submission, in Unix milliseconds.
    public let created: Int64
    /// When its time is over, in Unix milliseconds; nil for never.
    public var deadline: Int64?
    /// Whether its time was over before it ended, and it ends for that.
    public var isOverdue = false
    /// The job whose outputs it has without having run.
    public var reusedFrom: String?
    /// Start of the first attempt, in Unix milliseconds.
    public var started: Int64?
    /// When it ended, in Unix milliseconds.
    public var finished: Int64?

    /// A job as it is submitted, before anything happened to it.
    public init(id: String, kind: Kind, state: JobState = .blocked, created: Int64) {
        self.id = id
        self.kind = kind
        self.state = state
        self.created = created
    }

    /// Whether a claim is that of the present lease.
    public func isHeld(by claim: LeaseClaim) -> Bool {
        state.isLeased && epoch == claim.epoch && holder == claim.holder
    }
}

extension Job {
    /// How the attempt before the present one ended, in a sentence; nil of the first, and after a retry.
    public var attemptBefore: String? {
        guard state == .starting || state == .running, message.hasPrefix(Self.accountPrefix) else {
            return nil
        }
        return message
    }

    private static let accountPrefix = "attempt "

    /// How the last attempt of a job that waits for the next one ended; nil if there was none, or a user wanted
    /// another.
    static func account(ofAttempt job: Job) -> String? {
        end(ofAttempt: job).map { "\(accountPrefix)\(job.attempt) ended: \($0)" }
    }

    /// The same without the attempt's number.
    static func end(ofAttempt job: Job) -> String? {
        guard job.state == .queued, job.attempt > 0, !job.message.isEmpty else { return nil }
        // Of a pause the words say enough.
        let isNamed = job.reason != .none && job.reason != .pausedBy
        let reason = isNamed ? "\(job.reason.rawValue): " : ""
        let isTriedAgain = job.message.hasPrefix(JobLifecycle.retryPrefix)
        let words = job.message.dropFirst(isTriedAgain ? JobLifecycle.retryPrefix.count : 0)
        return "\(reason)\(words)"
    }
}
