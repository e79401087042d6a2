/// The states of a job; the raw values go over the wire.
enum JobState: String, Sendable, CaseIterable {
    /// An input is another job's output that is not there yet.
    case blocked = "BLOCKED"
    /// Waiting for a worker.
    case queued = "QUEUED"
    /// Leased; no heartbeat yet.
    case starting = "STARTING"
    /// Leased and alive.
    case running = "RUNNING"
    /// Leased; asked to stop.
    case cancelling = "CANCELLING"
    /// The lease ended without an outcome.
    case recovering = "RECOVERING"
    /// Done, with outputs.
    case succeeded = "SUCCEEDED"
    /// Ended by a failure.
    case failed = "FAILED"
    /// Ended by a user.
    case cancelled = "CANCELLED"

    /// Whether the job is over.
    var isTerminal: Bool { [.succeeded, .failed, .cancelled].contains(self) }

    /// Whether a worker holds a lease on the job.
    var isLeased: Bool { [.starting, .running, .cancelling].contains(self) }

    /// The states that may follow.
    ///
    /// `retry` leads from failed and cancelled back to queued.
    var successors: Set<JobState> {
        switch self {
        case .blocked: [.queued, .failed, .cancelled]
        case .queued: [.starting, .failed, .cancelled]
        case .starting: [.running, .cancelling, .recovering, .succeeded, .failed, .cancelled]
        case .running: [.cancelling, .recovering, .succeeded, .failed, .cancelled]
        case .cancelling: [.recovering, .succeeded, .failed, .cancelled]
        case .recovering: [.queued, .failed, .cancelled]
        case .succeeded: []
        case .failed, .cancelled: [.queued, .blocked]
        }
    }
}

/// Why a job is where it is; the raw values go over the wire.
enum JobReason: String, Sendable {
    case none = ""
    case userError = "USER_ERROR"
    case invalidSpec = "INVALID_SPEC"
    case artifactMissing = "ARTIFACT_MISSING"
    case outOfMemory = "OUT_OF_MEMORY"
    case noDisk = "NO_DISK"
    case exportFailed = "EXPORT_FAILED"
    case deadline = "DEADLINE"
    case diverged = "DIVERGED"
    case workerLost = "WORKER_LOST"
    case crashLoop = "CRASH_LOOP"
    case cancelledBy = "CANCELLED_BY"
    case internalError = "INTERNAL"

    /// Attempts that may end this way before the job fails.
    var attemptLimit: Int {
        switch self {
        case .outOfMemory, .internalError: 2
        default: 1
        }
    }
}
