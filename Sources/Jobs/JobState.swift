/// Where a job stands; the raw values go over the wire and into the database.
///
/// docs/JOBS.md draws the table of what may follow what.
public enum JobState: String, Sendable, CaseIterable, Codable {
    /// An input is another job's output that is not there yet.
    case blocked = "BLOCKED"
    /// Waiting for a worker.
    case queued = "QUEUED"
    /// Leased; no heartbeat yet.
    case starting = "STARTING"
    /// Leased and alive.
    case running = "RUNNING"
    /// Leased; asked to stop and to rest until a user lets it go on.
    case pausing = "PAUSING"
    /// Held back by a user until one lets it go on.
    case paused = "PAUSED"
    /// Leased; asked to stop.
    case cancelling = "CANCELLING"
    /// The lease ended without an outcome; never at rest, always followed at once.
    case recovering = "RECOVERING"
    /// Done, with outputs.
    case succeeded = "SUCCEEDED"
    /// Ended by a failure.
    case failed = "FAILED"
    /// Ended by a user.
    case cancelled = "CANCELLED"

    /// The states in which a worker holds a lease.
    public static let leased: [JobState] = [.starting, .running, .pausing, .cancelling]
    /// The states in which a job waits: for other jobs, for a worker, or for a user.
    public static let waiting: [JobState] = [.blocked, .queued, .paused]
    /// The states of a job that is not over.
    public static let living: [JobState] = allCases.filter { !terminal.contains($0) }
    /// The states that end a job.
    public static let terminal: [JobState] = [.succeeded, .failed, .cancelled]

    /// Whether the job is over.
    public var isTerminal: Bool { Self.terminal.contains(self) }
    /// Whether a worker holds a lease on the job.
    public var isLeased: Bool { Self.leased.contains(self) }
    /// Whether the job waits: for inputs, for a worker, or to be resumed.
    public var isWaiting: Bool { Self.waiting.contains(self) }

    /// The states that may follow.
    ///
    /// Only a retry leads out of failed and cancelled; nothing leads out of succeeded. A paused job is resumed by
    /// way of blocked, since what it needs may have changed meanwhile.
    public var successors: Set<JobState> {
        switch self {
        // Succeeded at once if another job's outputs are reused.
        case .blocked: [.queued, .paused, .succeeded, .failed, .cancelled]
        case .queued: [.starting, .paused, .failed, .cancelled]
        case .starting:
            [.running, .pausing, .cancelling, .recovering, .succeeded, .failed, .cancelled]
        case .running: [.pausing, .cancelling, .recovering, .succeeded, .failed, .cancelled]
        // Running again if it is resumed before its worker has stopped.
        case .pausing: [.running, .paused, .cancelling, .recovering, .succeeded, .failed]
        case .paused: [.blocked, .failed, .cancelled]
        case .cancelling: [.recovering, .succeeded, .failed, .cancelled]
        case .recovering: [.queued, .paused, .failed, .cancelled]
        case .succeeded: []
        case .failed, .cancelled: [.blocked]
        }
    }
}
