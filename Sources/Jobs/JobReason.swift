/// Why a job is where it is; the raw values go over the wire and into the database.
public enum JobReason: String, Sendable, CaseIterable, Codable {
    /// Nothing to explain.
    case none = ""
    /// The job asks for something impossible, seen while it ran.
    case userError = "USER_ERROR"
    /// The specification cannot be carried out.
    case invalidSpec = "INVALID_SPEC"
    /// An input is not there and never will be.
    case artifactMissing = "ARTIFACT_MISSING"
    /// A job after which this one was to start did not end well.
    case dependencyFailed = "DEPENDENCY_FAILED"
    /// Memory ran out.
    case outOfMemory = "OUT_OF_MEMORY"
    /// By its plan it needs more memory than its worker may have; it was not begun.
    case exceedsMemory = "EXCEEDS_MEMORY"
    /// Disk ran out.
    case noDisk = "NO_DISK"
    /// An export failed; what came before it is kept.
    case exportFailed = "EXPORT_FAILED"
    /// The time given to the job ran out.
    case deadline = "DEADLINE"
    /// The loss is no number any more.
    case diverged = "DIVERGED"
    /// The worker was not heard of in time, or was restarted.
    case workerLost = "WORKER_LOST"
    /// The job lost its worker again and again without getting anywhere.
    case crashLoop = "CRASH_LOOP"
    /// Somebody outside of the suite killed the attempt's process.
    case killed = "KILLED"
    /// The attempt's process said nothing for too long.
    case stalled = "STALLED"
    /// A user holds it back.
    case pausedBy = "PAUSED_BY"
    /// A user ended it.
    case cancelledBy = "CANCELLED_BY"
    /// A fault of the program.
    case internalError = "INTERNAL"

    /// Attempts that may end this way before the job fails.
    public var attemptLimit: Int64 {
        switch self {
        case .outOfMemory, .internalError: 2
        default: 1
        }
    }

    /// Whether a job that fails this way never began, because of another one.
    public var isDependency: Bool { self == .artifactMissing || self == .dependencyFailed }

    /// Whether a worker can know that an attempt ended this way; the others are the gateway's to say.
    public var isOfWorkers: Bool {
        switch self {
        case .userError, .invalidSpec, .outOfMemory, .exceedsMemory, .noDisk, .exportFailed,
            .diverged,
            .killed, .stalled, .internalError, .artifactMissing:
            true
        case .none, .dependencyFailed, .deadline, .workerLost, .crashLoop, .pausedBy, .cancelledBy:
            false
        }
    }

    /// Whether an attempt that fails this way is a lost one: the job is not at fault, and goes on from
    /// its checkpoint as long as it comes further each time.
    public var isLoss: Bool {
        switch self {
        case .workerLost, .killed, .stalled, .noDisk: true
        default: false
        }
    }
}
