internal import CWire

/// How far a running job has come.
public struct JobProgress: WireMessage, Equatable {
    /// The phase whose steps are those of a training: losses of a worker are judged by them, checkpoints are
    /// of them, and their losses are a curve.
    public static let trainingPhase = "train"

    /// What a phase does, and how far it is in it, if that is counted: `validating` and `3/16` of
    /// `validating 3/16`.
    public static func parts(ofPhase text: String) -> (name: String, count: String?) {
        guard let space = text.lastIndex(of: " ") else { return (text, nil) }
        let last = text[text.index(after: space)...]
        let parts = last.split(separator: "/", omittingEmptySubsequences: false)
        let isCount = parts.count == 2 && parts.allSatisfy { UInt64($0) != nil }
        return isCount ? (String(text[..<space]), String(last)) : (text, nil)
    }

    /// Steps finished.
    public var step: UInt64
    /// Steps in the whole run; 0 when unknown.
    public var totalSteps: UInt64
    /// Loss of the latest step.
    public var loss: Double?
    /// Learning rate of the latest step.
    public var learningRate: Double?
    /// Throughput of the recent steps.
    public var tokensPerSecond: Double?
    /// Estimated seconds until the job ends.
    public var etaSeconds: Double?
    /// Format in use, such as `mxfp4`.
    public var precision: String
    /// Phase of the job, such as ``trainingPhase`` or `export`.
    public var phase: String

    /// Whether the step is one of a training.
    public var isTraining: Bool { phase == Self.trainingPhase }

    /// Makes a message; every field has its wire default.
    public init(
        step: UInt64 = 0,
        totalSteps: UInt64 = 0,
        loss: Double? = nil,
        learningRate: Double? = nil,
        tokensPerSecond: Double? = nil,
        etaSeconds: Double? = nil,
        precision: String = "",
        phase: String = ""
    ) {
        self.step = step
        self.totalSteps = totalSteps
        self.loss = loss
        self.learningRate = learningRate
        self.tokensPerSecond = tokensPerSecond
        self.etaSeconds = etaSeconds
        self.precision = precision
        self.phase = phase
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_job_progress())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        step = reader.uint64(1)
        totalSteps = reader.uint64(2)
        loss = reader.optionalDouble(3)
        learningRate = reader.optionalDouble(4)
        tokensPerSecond = reader.optionalDouble(5)
        etaSeconds = reader.optionalDouble(6)
        precision = try reader.text(7)
        phase = try reader.text(8)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, step)
        writer.set(2, totalSteps)
        writer.set(3, loss)
        writer.set(4, learningRate)
        writer.set(5, tokensPerSecond)
        writer.set(6, etaSeconds)
        writer.set(7, precision)
        writer.set(8, phase)
    }
}

/// One entry of a job's history.
public struct JobEvent: WireMessage, Equatable {
    /// What an event tells.
    public enum EventType: UInt32, Sendable, CaseIterable {
        /// The state changed.
        case state = 1
        /// Progress was made.
        case progress
        /// A metric was measured.
        case metric
        /// A line was logged.
        case log
    }

    /// The job.
    public var jobID: String
    /// Position in the job's history, from 1; a trimmed history has gaps.
    public var seq: UInt64
    /// When it happened, in Unix milliseconds.
    public var timeUnixMs: Int64
    /// What kind of event it is.
    public var type: EventType
    /// The job's state after the event.
    public var state: String
    /// Reason code of a failure or transition; may be empty.
    public var reason: String
    /// A sentence for people, or a log line.
    public var message: String
    /// Progress, when the event reports it.
    public var progress: JobProgress?
    /// A JSON object of metrics; may be empty.
    public var metricsJSON: [UInt8]

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        seq: UInt64 = 0,
        timeUnixMs: Int64 = 0,
        type: EventType = .state,
        state: String = "",
        reason: String = "",
        message: String = "",
        progress: JobProgress? = nil,
        metricsJSON: [UInt8] = []
    ) {
        self.jobID = jobID
        self.seq = seq
        self.timeUnixMs = timeUnixMs
        self.type = type
        self.state = state
        self.reason = reason
        self.message = message
        self.progress = progress
        self.metricsJSON = metricsJSON
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_job_event())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        seq = reader.uint64(2)
        timeUnixMs = reader.int64(3)
        type = try reader.enumeration(4)
        state = try reader.text(5)
        reason = try reader.text(6)
        message = try reader.text(7)
        progress = try reader.message(8)
        metricsJSON = reader.bytes(9)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, seq)
        writer.set(3, timeUnixMs)
        writer.set(4, type)
        writer.set(5, state)
        writer.set(6, reason)
        writer.set(7, message)
        writer.set(8, progress)
        writer.set(9, metricsJSON)
    }
}
