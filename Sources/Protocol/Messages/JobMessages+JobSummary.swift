internal import CWire

/// A job as lists show it.
public struct JobSummary: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// `train`, `quantize`, `evaluate` or `serve`.
    public var kind: String
    /// The name its submitter gave it.
    public var name: String
    /// Its state, such as `RUNNING`.
    public var state: String
    /// Reason code of a failure; empty otherwise.
    public var reason: String
    /// The reason as a sentence.
    public var reasonMessage: String
    /// The latest progress.
    public var progress: JobProgress
    /// Submission time, in Unix milliseconds.
    public var createdUnixMs: Int64
    /// Start of the first attempt, in Unix milliseconds.
    public var startedUnixMs: Int64?
    /// When it became terminal, in Unix milliseconds.
    public var finishedUnixMs: Int64?
    /// Attempts begun.
    public var attempt: UInt32
    /// Why a queued job does not run yet.
    public var waitReason: String
    /// Whether its cancellation was asked for.
    public var cancelRequested: Bool
    /// Who submitted it.
    public var owner: String
    /// The pipeline that it is of; empty for none.
    public var pipelineID = ""
    /// Its name within the pipeline.
    public var part = ""
    /// How soon it is taken, from -100 to 100.
    public var priority: Int64 = 0
    /// When its time is over, in Unix milliseconds; 0 for never.
    public var deadlineUnixMs: Int64 = 0
    /// Jobs that must end well before it starts.
    public var after: [String] = []
    /// The job whose outputs it has without having run.
    public var reusedFrom = ""
    /// In the answer to a retry: the dependents that run again with it.
    public var dependentsRetried: UInt32 = 0
    /// In the answer to a retry: the dependents that stay as they are, because of their owner's quota.
    public var dependentsLeft: UInt32 = 0
    /// Whether the job of ``reusedFrom`` was removed since.
    public var isReusedRemoved = false

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        kind: String = "",
        name: String = "",
        state: String = "",
        reason: String = "",
        reasonMessage: String = "",
        progress: JobProgress = JobProgress(),
        createdUnixMs: Int64 = 0,
        startedUnixMs: Int64? = nil,
        finishedUnixMs: Int64? = nil,
        attempt: UInt32 = 0,
        waitReason: String = "",
        cancelRequested: Bool = false,
        owner: String = ""
    ) {
        self.jobID = jobID
        self.kind = kind
        self.name = name
        self.state = state
        self.reason = reason
        self.reasonMessage = reasonMessage
        self.progress = progress
        self.createdUnixMs = createdUnixMs
        self.startedUnixMs = startedUnixMs
        self.finishedUnixMs = finishedUnixMs
        self.attempt = attempt
        self.waitReason = waitReason
        self.cancelRequested = cancelRequested
        self.owner = owner
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_job_summary())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        kind = try reader.text(2)
        name = try reader.text(3)
        state = try reader.text(4)
        reason = try reader.text(5)
        reasonMessage = try reader.text(6)
        progress = try reader.message(7) ?? JobProgress()
        createdUnixMs = reader.int64(8)
        startedUnixMs = reader.optionalInt64(9)
        finishedUnixMs = reader.optionalInt64(10)
        attempt = reader.uint32(11)
        waitReason = try reader.text(12)
        cancelRequested = reader.bool(13)
        owner = try reader.text(14)
        pipelineID = try reader.text(15)
        part = try reader.text(16)
        priority = reader.int64(17)
        deadlineUnixMs = reader.int64(18)
        after = try reader.texts(19)
        reusedFrom = try reader.text(20)
        dependentsRetried = reader.uint32(21)
        dependentsLeft = reader.uint32(22)
        isReusedRemoved = reader.bool(23)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, kind)
        writer.set(3, name)
        writer.set(4, state)
        writer.set(5, reason)
        writer.set(6, reasonMessage)
        writer.set(7, progress)
        writer.set(8, createdUnixMs)
        writer.set(9, startedUnixMs)
        writer.set(10, finishedUnixMs)
        writer.set(11, attempt)
        writer.set(12, waitReason)
        writer.set(13, cancelRequested)
        writer.set(14, owner)
        writer.set(15, pipelineID)
        writer.set(16, part)
        writer.set(17, priority)
        writer.set(18, deadlineUnixMs)
        writer.set(19, after)
        writer.set(20, reusedFrom)
        writer.set(21, dependentsRetried)
        writer.set(22, dependentsLeft)
        writer.set(23, isReusedRemoved)
    }
}

/// A job with its specification, results and outputs.
public struct JobDetail: WireMessage, Equatable {
    /// The job as lists show it.
    public var summary: JobSummary
    /// The canonical specification.
    public var specJSON: [UInt8]
    /// The results; empty until the job has succeeded.
    public var resultsJSON: [UInt8]
    /// Files the job produced.
    public var outputs: [OutputFile]
    /// Sequence number of its newest event.
    public var lastSeq: UInt64
    /// Its inputs with their files, in an answer to ``GetJobRequest/inputs``.
    public var inputs: [Input] = []

    /// Makes a message; every field has its wire default.
    public init(
        summary: JobSummary = JobSummary(),
        specJSON: [UInt8] = [],
        resultsJSON: [UInt8] = [],
        outputs: [OutputFile] = [],
        lastSeq: UInt64 = 0
    ) {
        self.summary = summary
        self.specJSON = specJSON
        self.resultsJSON = resultsJSON
        self.outputs = outputs
        self.lastSeq = lastSeq
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_job_detail())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        summary = try reader.message(1) ?? JobSummary()
        specJSON = reader.bytes(2)
        resultsJSON = reader.bytes(3)
        outputs = try reader.messages(4)
        lastSeq = reader.uint64(5)
        inputs = try reader.messages(6)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, summary)
        writer.set(2, specJSON)
        writer.set(3, resultsJSON)
        writer.set(4, outputs)
        writer.set(5, lastSeq)
        writer.set(6, inputs)
    }
}
