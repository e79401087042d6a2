public import Jobs

/// What a daemon writes to its compute child: one JSON line on standard input.
public struct ComputeRequest: Codable, Sendable, Equatable {
    /// The line that asks the child, later, for a checkpoint and an end.
    static let cancelLine = #"{"command":"cancel"}"#

    /// A file of an input, as the job was submitted with it.
    public struct InputFile: Codable, Sendable, Equatable {
        /// Its path within the input.
        public var path: String
        /// Bytes.
        public var size: UInt64
        /// The digest, as hexadecimal text.
        public var sha256: String

        /// A file.
        public init(path: String, size: UInt64, sha256: String) {
            self.path = path
            self.size = size
            self.sha256 = sha256
        }
    }

    /// The job.
    public var jobID: String
    /// The job's kind.
    public var kind: String
    /// Counts from 1.
    public var attempt: Int
    /// The job's specification, as JSON text.
    public var spec: String
    /// Local paths of the inputs, by JSON pointer within the specification.
    public var inputs: [String: String]
    /// The files of the inputs, by the same pointers.
    public var inputFiles: [String: [InputFile]]
    /// Every file under this folder becomes an output of the job.
    public var outputFolder: String
    /// Survives the attempt; checkpoints live here.
    public var checkpointFolder: String
    /// Threads to compute with.
    public var threads: Int
    /// Processes on this node that compute the job together; nil for this one alone.
    public var ranksPerNode: Int?
    /// The interpreter that programs of models may be run by; nil where they may not.
    public var codeInterpreter: String?

    /// A request.
    public init(
        jobID: String,
        kind: String,
        attempt: Int,
        spec: String,
        inputs: [String: String],
        inputFiles: [String: [InputFile]] = [:],
        outputFolder: String,
        checkpointFolder: String,
        threads: Int,
        ranksPerNode: Int? = nil,
        codeInterpreter: String? = nil
    ) {
        self.ranksPerNode = ranksPerNode
        self.codeInterpreter = codeInterpreter
        self.jobID = jobID
        self.kind = kind
        self.attempt = attempt
        self.spec = spec
        self.inputs = inputs
        self.inputFiles = inputFiles
        self.outputFolder = outputFolder
        self.checkpointFolder = checkpointFolder
        self.threads = threads
    }

    /// The local path of the input at a pointer.
    ///
    /// - Throws: ``ComputeFailure`` if the job came without it.
    public func path(_ pointer: String) throws -> String {
        guard let path = inputs[pointer] else {
            throw ComputeFailure(.internalError, "the job came without the input \(pointer)")
        }
        return path
    }
}

/// A failure that a compute child reports about its job.
public struct ComputeFailure: Error, Sendable, CustomStringConvertible {
    /// Why; one of those that workers can know.
    public let reason: JobReason
    /// One line: what happened, where, what to do.
    public let message: String

    /// A failure.
    public init(_ reason: JobReason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    /// The message.
    public var description: String { message }
}

/// The end of an attempt that was asked to stop, which is no failure.
public struct AttemptStopped: Error, Sendable, CustomStringConvertible {
    /// Where it stopped.
    public let description: String

    /// A stop.
    public init(_ description: String) { self.description = description }
}
