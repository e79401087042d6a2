/// What may happen to a job.
public enum Occurrence: Sendable, Equatable {
    /// Its inputs were looked at.
    case inputsSettled(InputsVerdict)
    /// A worker takes it.
    case leased(LeaseHolder)
    /// The worker lives, and tells what happened.
    case heartbeat(LeaseClaim, [WorkerReport])
    /// The worker stored a checkpoint of a training step.
    case checkpointed(LeaseClaim, step: Int64)
    /// The worker's attempt ended.
    case completed(LeaseClaim, Completion)
    /// A user wants it to end: at once, or after a checkpoint.
    case cancelled(now: Bool, by: String)
    /// A user holds it back.
    case paused(by: String)
    /// A user lets it go on; its inputs were looked at anew if it is paused.
    case resumed(by: String, inputs: InputsVerdict)
    /// A user wants a failed or cancelled job to run again; its inputs were looked at anew.
    case retried(by: String, inputs: InputsVerdict)
    /// It ended so long ago that its checkpoint goes.
    case checkpointExpired
    /// Its deadline passed.
    case deadlinePassed
    /// The lease ended without the worker's doing; the sentence says how.
    case leaseEnded(String)
}

/// Whether a job's inputs are all there.
public enum InputsVerdict: Sendable, Equatable {
    /// They are.
    case ready
    /// A job that makes one of them, or was to end before, has not ended.
    case waiting
    /// One of them will never be; the sentence says which and why.
    case never(String)
    /// A job that was to end well before it did not; the sentence says which and how.
    case neverStarts(String)
    /// They are, and a job that did the same with the same ones has the outputs.
    case reused(from: String)

    /// Whether a job with such inputs may start, now or later.
    public var mayStart: Bool {
        switch self {
        case .ready, .waiting, .reused: true
        case .never, .neverStarts: false
        }
    }
}

/// What the lifecycle needs to know of an event that a worker reports.
public struct WorkerReport: Sendable, Equatable {
    /// The worker's count of its events under this lease, from 1; 0 if it does not count.
    public var number: Int64
    /// The training step it tells of, if it tells of one.
    public var step: Int64?

    /// A report of its parts.
    public init(number: Int64 = 0, step: Int64? = nil) {
        self.number = number
        self.step = step
    }
}

/// How an attempt ended.
public enum Completion: Sendable, Equatable {
    /// With outputs.
    case succeeded
    /// For a reason.
    case failed(JobReason, String)
    /// Because it was told to.
    case stopped(String)
    /// The worker hands the job back, which is no loss: it goes away, has no room for the job
    /// (``JobReason/noDisk``), or was asked to let it rest (``JobReason/pausedBy``).
    case released(String, JobReason = .none)
}
