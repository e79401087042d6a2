/// How large a job and what belongs to it may be; docs/JOBS.md says why.
///
/// Whatever is accepted must fit into every answer that will carry it: a lease (specification,
/// inputs and checkpoint), a detail (specification, results and outputs) and a page of a list, each one message of
/// at most ``messageBytes``.
public struct JobLimits: Sendable, Equatable {
    /// Bytes of one message on the wire.
    public static let messageBytes = 256 << 10
    /// Bytes of a canonical specification.
    public var specBytes = 96 << 10
    /// Bytes of all inputs (pointers, sources, paths, digests) as a lease carries them.
    public var inputBytes = 128 << 10
    /// Bytes of a checkpoint's files (names, digests, sizes) as a lease carries them.
    public var checkpointBytes = 24 << 10
    /// Bytes of a job's results as JSON.
    public var resultBytes = 96 << 10
    /// Bytes of all outputs (names, digests, sizes) as a detail carries them.
    public var outputBytes = 56 << 10
    /// Bytes of one event's metrics.
    public var metricBytes = 64 << 10
    /// Bytes of a page of jobs.
    public var pageBytes = 192 << 10
    /// Inputs of a job.
    public var inputs = 256
    /// Jobs in a row, each of which waits for the one before.
    public var chainDepth = 64
    /// Jobs that a job starts after, beside those whose outputs it takes.
    public var predecessors = 64
    /// Jobs of a pipeline.
    public var pipelineJobs = 64
    /// Bytes of the name of a job within its pipeline.
    public var partBytes = 64
    /// The farthest that a deadline is away, in milliseconds: ten years.
    public var deadlineReach: Int64 = 10 * 366 * 86_400_000
    /// Bytes of a submission's key.
    public var keyBytes = 64
    /// Bytes of a name.
    public var nameBytes = 200
    /// Bytes of the text that says where an input comes from.
    public var sourceBytes = 4096
    /// Bytes of a path within an input, or of an output's name.
    public var pathBytes = 1024
    /// Bytes of a sentence: why a job ended, why it waits, a log line among the events.
    public var sentenceBytes = 1024
    /// The largest step, or count of steps, that a worker tells: scripts read them as JSON numbers.
    public var steps: UInt64 = 1 << 53
    /// Bytes of a word that a worker sends: a phase, a precision.
    public var wordBytes = 64

    /// The limits in force.
    public init() {}
}
