/// How long what is over is kept, and how much of it; docs/OPERATIONS.md says why these values.
public struct RetentionPolicy: Sendable, Equatable {
    /// Milliseconds in a day.
    public static let day: Int64 = 86_400_000

    /// Milliseconds that a job is kept after its end.
    public var jobs = 90 * day
    /// Milliseconds that a job's progress, metrics and log lines stay in its history after its end.
    public var events = 14 * day
    /// Milliseconds that a job's log is kept after its end.
    public var logs = 30 * day
    /// Milliseconds that the checkpoint of a failed or cancelled job is kept after its end.
    public var checkpoints = 14 * day
    /// Milliseconds that an upload is kept that no job refers to.
    public var uploads = 7 * day
    /// Milliseconds that the key of a removed job stays taken.
    public var keys = 365 * day
    /// Jobs that ended, at most.
    public var endedJobs = 100_000
    /// Bytes of one job's log, at most; what comes after is dropped.
    public var jobLogBytes: Int64 = 64 << 20
    /// Events of a job that is not over, at most, its changes of state aside; the oldest details go first.
    public var jobEvents: Int64 = 100_000
    /// Bytes of all logs, at most; those of the jobs that ended first go first.
    public var logBytes: Int64 = 4 << 30
    /// Bytes of all artifacts, at most, or nil; the jobs that ended first go first.
    public var artifactBytes: Int64?

    /// The values in force when nobody says otherwise.
    public init() {}
}
