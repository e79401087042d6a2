internal import CWire

/// Jobs that were submitted together, as lists show them.
public struct PipelineSummary: WireMessage, Equatable {
    /// The pipeline.
    public var pipelineID: String
    /// The name its submitter gave it.
    public var name: String
    /// Who submitted it.
    public var owner: String
    /// Its jobs' states as a whole, such as `RUNNING`.
    public var state: String
    /// Submission time, in Unix milliseconds.
    public var createdUnixMs: Int64
    /// When the last job ended, if all have.
    public var finishedUnixMs: Int64?
    /// Its jobs.
    public var jobs: UInt32
    /// Those that succeeded.
    public var succeeded: UInt32
    /// Those that ended, however they did.
    public var ended: UInt32

    /// Makes a message; every field has its wire default.
    public init(
        pipelineID: String = "",
        name: String = "",
        owner: String = "",
        state: String = "",
        createdUnixMs: Int64 = 0,
        finishedUnixMs: Int64? = nil,
        jobs: UInt32 = 0,
        succeeded: UInt32 = 0,
        ended: UInt32 = 0
    ) {
        self.pipelineID = pipelineID
        self.name = name
        self.owner = owner
        self.state = state
        self.createdUnixMs = createdUnixMs
        self.finishedUnixMs = finishedUnixMs
        self.jobs = jobs
        self.succeeded = succeeded
        self.ended = ended
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_pipeline_summary())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        pipelineID = try reader.text(1)
        name = try reader.text(2)
        owner = try reader.text(3)
        state = try reader.text(4)
        createdUnixMs = reader.int64(5)
        finishedUnixMs = reader.optionalInt64(6)
        jobs = reader.uint32(7)
        succeeded = reader.uint32(8)
        ended = reader.uint32(9)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, pipelineID)
        writer.set(2, name)
        writer.set(3, owner)
        writer.set(4, state)
        writer.set(5, createdUnixMs)
        writer.set(6, finishedUnixMs)
        writer.set(7, jobs)
        writer.set(8, succeeded)
        writer.set(9, ended)
    }
}

/// A pipeline with its jobs.
public struct PipelineDetail: WireMessage, Equatable {
    /// The pipeline as lists show it.
    public var summary: PipelineSummary
    /// Its jobs, each after those that it waits for.
    public var jobs: [JobSummary]

    /// Makes a message; every field has its wire default.
    public init(summary: PipelineSummary = PipelineSummary(), jobs: [JobSummary] = []) {
        self.summary = summary
        self.jobs = jobs
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_pipeline_detail())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        summary = try reader.message(1) ?? PipelineSummary()
        jobs = try reader.messages(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, summary)
        writer.set(2, jobs)
    }
}
