internal import CWire

/// Asks for a job; the key makes a repeat harmless.
public struct SubmitJobRequest: WireMessage, Equatable {
    /// `train`, `quantize`, `evaluate` or `serve`.
    public var kind: String
    /// A name for people.
    public var name: String
    /// Submission key chosen by the client.
    public var key: String
    /// The canonical specification.
    public var specJSON: [UInt8]
    /// Files the specification refers to.
    public var inputs: [Input]
    /// Jobs that must end well before it starts.
    public var after: [String] = []
    /// How soon it is taken, from -100 to 100.
    public var priority: Int64 = 0
    /// When its time is over, in Unix milliseconds; 0 for never.
    public var deadlineUnixMs: Int64 = 0
    /// The same as milliseconds from its submission; 0 for never.
    public var deadlineMs: Int64 = 0
    /// Whether the outputs of a job that did the same will do.
    public var reuse = false

    /// Makes a message; every field has its wire default.
    public init(
        kind: String = "",
        name: String = "",
        key: String = "",
        specJSON: [UInt8] = [],
        inputs: [Input] = []
    ) {
        self.kind = kind
        self.name = name
        self.key = key
        self.specJSON = specJSON
        self.inputs = inputs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_submit_job_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        kind = try reader.text(1)
        name = try reader.text(2)
        key = try reader.text(3)
        specJSON = reader.bytes(4)
        inputs = try reader.messages(5)
        after = try reader.texts(6)
        priority = reader.int64(7)
        deadlineUnixMs = reader.int64(8)
        deadlineMs = reader.int64(9)
        reuse = reader.bool(10)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, kind)
        writer.set(2, name)
        writer.set(3, key)
        writer.set(4, specJSON)
        writer.set(5, inputs)
        writer.set(6, after)
        writer.set(7, priority)
        writer.set(8, deadlineUnixMs)
        writer.set(9, deadlineMs)
        writer.set(10, reuse)
    }
}

/// Names the job a submission made or found.
public struct SubmitJobResponse: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// False when the key already named this job.
    public var created: Bool
    /// The job whose outputs it has without having run.
    public var reusedFrom: String

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "", created: Bool = false, reusedFrom: String = "") {
        self.jobID = jobID
        self.created = created
        self.reusedFrom = reusedFrom
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_submit_job_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        created = reader.bool(2)
        reusedFrom = try reader.text(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, created)
        writer.set(3, reusedFrom)
    }
}

/// Asks for one job.
public struct GetJobRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// Whether its inputs are wanted, in the place of specification, results and outputs.
    public var inputs: Bool

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "", inputs: Bool = false) {
        self.jobID = jobID
        self.inputs = inputs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_get_job_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        inputs = reader.bool(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, inputs)
    }
}

/// Asks for a page of jobs, newest first.
public struct ListJobsRequest: WireMessage, Equatable {
    /// Jobs wanted; 0 lets the server choose.
    public var pageSize: UInt32
    /// Token of the page before; empty for the first.
    public var pageToken: String
    /// Jobs in these states only; none for all.
    public var states: [String]
    /// Jobs of these kinds only; none for all.
    public var kinds: [String]
    /// Jobs with this in their names only, whatever the case.
    public var name: String
    /// This user's jobs only, of those that the caller sees.
    public var owner: String
    /// Jobs only whose name this is, or the beginning of whose id, or whose pipeline's; or `PIPELINE/JOB`.
    ///
    /// An older gateway knows nothing of it, and lists all.
    public var word = ""

    /// Makes a message; every field has its wire default.
    public init(
        pageSize: UInt32 = 0,
        pageToken: String = "",
        states: [String] = [],
        kinds: [String] = [],
        name: String = "",
        owner: String = ""
    ) {
        self.pageSize = pageSize
        self.pageToken = pageToken
        self.states = states
        self.kinds = kinds
        self.name = name
        self.owner = owner
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_list_jobs_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pageSize = reader.uint32(1)
        pageToken = try reader.text(2)
        states = try reader.texts(3)
        kinds = try reader.texts(4)
        name = try reader.text(5)
        owner = try reader.text(6)
        word = try reader.text(7)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pageSize)
        writer.set(2, pageToken)
        writer.set(3, states)
        writer.set(4, kinds)
        writer.set(5, name)
        writer.set(6, owner)
        writer.set(7, word)
    }
}

/// A page of jobs.
public struct ListJobsResponse: WireMessage, Equatable {
    /// The jobs, newest first.
    public var jobs: [JobSummary]
    /// Token of the next page; empty after the last.
    public var nextPageToken: String
    /// The pipelines that these jobs are of.
    public var pipelines: [PipelineSummary]

    /// Makes a message; every field has its wire default.
    public init(
        jobs: [JobSummary] = [],
        nextPageToken: String = "",
        pipelines: [PipelineSummary] = []
    ) {
        self.jobs = jobs
        self.nextPageToken = nextPageToken
        self.pipelines = pipelines
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_list_jobs_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobs = try reader.messages(1)
        nextPageToken = try reader.text(2)
        pipelines = try reader.messages(3)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobs)
        writer.set(2, nextPageToken)
        writer.set(3, pipelines)
    }
}

/// Asks for a job's events from one position on.
public struct WatchJobRequest: WireMessage, Equatable {
    /// The job.
    public var jobID: String
    /// First sequence number wanted; 0 and 1 mean all.
    public var fromSeq: UInt64

    /// Makes a message; every field has its wire default.
    public init(jobID: String = "", fromSeq: UInt64 = 0) {
        self.jobID = jobID
        self.fromSeq = fromSeq
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_watch_job_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        fromSeq = reader.uint64(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, fromSeq)
    }
}
