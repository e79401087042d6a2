/// What a worker keeps of a job that it does not run: whether anybody can need it.
public enum KeptWork: Sendable, Equatable {
    /// Nobody: the job is no more, has succeeded, or as much of it is in the store.
    case stored
    /// It is more than the store has, of a job that is over, or at work elsewhere: somebody may go on with it
    /// who retries the job there.
    case over
    /// An attempt that comes back there goes on with it.
    case needed

    /// How many jobs one question names at most.
    public static let questionLimit = 256

    /// What it is.
    ///
    /// `job`: The job, nil if it was removed. `step`: Of the newest checkpoint that is kept, 0 without one.
    /// `isFinished`: Whether finished outputs are. `worker`: Who keeps it.
    public init(of job: Job?, step: UInt64, isFinished: Bool, at worker: WorkerIdentity) {
        guard let job, job.state != .succeeded else {
            self = .stored
            return
        }
        if !isFinished, step <= UInt64(clamping: job.checkpointStep) {
            self = .stored
        } else if job.state.isTerminal || (job.state.isLeased && job.holder?.worker != worker) {
            self = .over
        } else {
            self = .needed
        }
    }
}
