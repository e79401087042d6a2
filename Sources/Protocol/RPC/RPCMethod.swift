public import Serving

/// A call with one request and one reply.
public struct UnaryMethod<Request: WireMessage, Response: WireMessage>: Sendable {
    /// `qat.v1.Service/Method`.
    public let name: String
    /// Whether a repeat does no harm, so that a lost reply may be retried.
    public let isIdempotent: Bool
}

/// A call with one request and a stream of replies.
public struct ServerStreamMethod<Request: WireMessage, Response: WireMessage>: Sendable {
    /// `qat.v1.Service/Method`.
    public let name: String
}

/// A call with a stream of requests and one reply.
public struct ClientStreamMethod<Request: WireMessage, Response: WireMessage>: Sendable {
    /// `qat.v1.Service/Method`.
    public let name: String

    /// Names a method; the suite's own are in ``QatMethods``.
    public init(name: String) { self.name = name }
}

/// A call whose request is followed by raw bytes.
public struct BlobUploadMethod<Request: WireMessage, Response: WireMessage>: Sendable {
    /// `qat.v1.Service/Method`.
    public let name: String
}

/// A call whose reply is raw bytes.
public struct BlobDownloadMethod<Request: WireMessage>: Sendable {
    /// `qat.v1.Service/Method`.
    public let name: String
}

/// Every method of the suite.
public enum QatMethods {
    /// Submits a job, exactly once per key.
    public static let submitJob = UnaryMethod<SubmitJobRequest, SubmitJobResponse>(
        name: "qat.v1.Jobs/Submit",
        isIdempotent: true
    )
    /// Reads one job.
    public static let getJob = UnaryMethod<GetJobRequest, JobDetail>(
        name: "qat.v1.Jobs/Get",
        isIdempotent: true
    )
    /// Reads a page of jobs.
    public static let listJobs = UnaryMethod<ListJobsRequest, ListJobsResponse>(
        name: "qat.v1.Jobs/List",
        isIdempotent: true
    )
    /// Streams a job's events; ends after the terminal one.
    public static let watchJob = ServerStreamMethod<WatchJobRequest, JobEvent>(
        name: "qat.v1.Jobs/Watch"
    )
    /// Asks that a job be cancelled.
    public static let cancelJob = UnaryMethod<CancelJobRequest, JobSummary>(
        name: "qat.v1.Jobs/Cancel",
        isIdempotent: true
    )
    /// Asks that a job be held back until it is resumed.
    public static let pauseJob = UnaryMethod<PauseJobRequest, JobSummary>(
        name: "qat.v1.Jobs/Pause",
        isIdempotent: true
    )
    /// Asks that a job that is held back go on.
    public static let resumeJob = UnaryMethod<ResumeJobRequest, JobSummary>(
        name: "qat.v1.Jobs/Resume",
        isIdempotent: true
    )
    /// Puts a failed or cancelled job back in the queue.
    public static let retryJob = UnaryMethod<RetryJobRequest, JobSummary>(
        name: "qat.v1.Jobs/Retry",
        isIdempotent: false
    )
    /// Removes a job that ended.
    public static let removeJob = UnaryMethod<RemoveJobRequest, RemoveJobResponse>(
        name: "qat.v1.Jobs/Remove",
        isIdempotent: false
    )
    /// Streams a job's log.
    public static let jobLogs = ServerStreamMethod<JobLogsRequest, LogChunk>(
        name: "qat.v1.Jobs/Logs"
    )
    /// Submits jobs that may refer to one another, all or none, exactly once per key.
    public static let submitPipeline = UnaryMethod<SubmitPipelineRequest, SubmitPipelineResponse>(
        name: "qat.v1.Jobs/SubmitPipeline",
        isIdempotent: true
    )
    /// Reads one pipeline.
    public static let getPipeline = UnaryMethod<GetPipelineRequest, PipelineDetail>(
        name: "qat.v1.Jobs/GetPipeline",
        isIdempotent: true
    )
    /// Asks that every job of a pipeline be cancelled.
    public static let cancelPipeline = UnaryMethod<CancelPipelineRequest, PipelineDetail>(
        name: "qat.v1.Jobs/CancelPipeline",
        isIdempotent: true
    )
    /// Asks that every job of a pipeline that is not over be held back until it is resumed.
    public static let pausePipeline = UnaryMethod<PausePipelineRequest, PipelineDetail>(
        name: "qat.v1.Jobs/PausePipeline",
        isIdempotent: true
    )
    /// Asks that every job of a pipeline that is held back go on.
    public static let resumePipeline = UnaryMethod<ResumePipelineRequest, PipelineDetail>(
        name: "qat.v1.Jobs/ResumePipeline",
        isIdempotent: true
    )
    /// Puts every failed or cancelled job of a pipeline back in the queue.
    public static let retryPipeline = UnaryMethod<RetryPipelineRequest, PipelineDetail>(
        name: "qat.v1.Jobs/RetryPipeline",
        isIdempotent: false
    )
    /// Reads the suite's state.
    public static let status = UnaryMethod<StatusRequest, StatusResponse>(
        name: "qat.v1.Admin/Status",
        isIdempotent: true
    )
    /// Asks which blobs the store lacks.
    public static let findMissing = UnaryMethod<FindMissingRequest, FindMissingResponse>(
        name: "qat.v1.Cas/FindMissing",
        isIdempotent: true
    )
    /// Stores a blob.
    public static let putBlob = BlobUploadMethod<PutBlobRequest, PutBlobResponse>(
        name: "qat.v1.Cas/Put"
    )
    /// Reads a blob or a range of it.
    public static let getBlob = BlobDownloadMethod<GetBlobRequest>(name: "qat.v1.Cas/Get")
    /// Gives blobs up.
    public static let removeBlobs = UnaryMethod<RemoveBlobsRequest, RemoveBlobsResponse>(
        name: "qat.v1.Cas/Remove",
        isIdempotent: true
    )
    /// Removes what nobody needs, and tells what that was.
    public static let collectGarbage = ServerStreamMethod<CollectGarbageRequest, CollectedBlob>(
        name: "qat.v1.Cas/CollectGarbage"
    )
    /// Reads every blob and compares it with its digest.
    public static let verifyArtifacts = ServerStreamMethod<
        VerifyArtifactsRequest, VerifyArtifactsReport
    >(name: "qat.v1.Admin/VerifyArtifacts")
    /// Makes a worker known.
    public static let registerWorker = UnaryMethod<RegisterWorkerRequest, RegisterWorkerResponse>(
        name: "qat.v1.Lease/Register",
        isIdempotent: true
    )
    /// Waits for a job; a long poll.
    public static let acquireLease = UnaryMethod<AcquireLeaseRequest, AcquireLeaseResponse>(
        name: "qat.v1.Lease/Acquire",
        isIdempotent: false
    )
    /// Extends a lease.
    public static let heartbeat = UnaryMethod<HeartbeatRequest, HeartbeatResponse>(
        name: "qat.v1.Lease/Heartbeat",
        isIdempotent: false
    )
    /// Waits for a change of what the worker is to do; a long poll.
    public static let awaitDirective = UnaryMethod<AwaitDirectiveRequest, HeartbeatResponse>(
        name: "qat.v1.Lease/AwaitDirective",
        isIdempotent: true
    )
    /// Names a job's newest checkpoint.
    public static let saveCheckpoint = UnaryMethod<SaveCheckpointRequest, SaveCheckpointResponse>(
        name: "qat.v1.Lease/SaveCheckpoint",
        isIdempotent: true
    )
    /// Adds to a job's log at a given offset.
    public static let appendLog = UnaryMethod<AppendLogRequest, AppendLogResponse>(
        name: "qat.v1.Lease/AppendLog",
        isIdempotent: true
    )
    /// Ends an attempt.
    public static let completeLease = UnaryMethod<CompleteLeaseRequest, CompleteLeaseResponse>(
        name: "qat.v1.Lease/Complete",
        isIdempotent: true
    )
    /// Asks which files of jobs, kept by a worker, nobody needs.
    public static let reviewKept = UnaryMethod<ReviewKeptRequest, ReviewKeptResponse>(
        name: "qat.v1.Lease/ReviewKept",
        isIdempotent: true
    )
    /// Asks a model for a text, which comes as it is written.
    public static let generate = ServerStreamMethod<GenerateRequest, TextAnswer>(
        name: "qat.v1.Serve/Generate"
    )
    /// Lists the models that the caller may use.
    public static let listModels = UnaryMethod<ListModelsRequest, ListModelsResponse>(
        name: "qat.v1.Serve/Models",
        isIdempotent: true
    )
    /// Hands a replica what it is to do, as long as it takes requests.
    public static let takeRequests = ServerStreamMethod<TakeRequestsRequest, ReplicaOrder>(
        name: "qat.v1.Serve/Take"
    )
    /// Tells what a replica answers, and how it stands.
    public static let tellAnswers = UnaryMethod<TellAnswersRequest, TellAnswersResponse>(
        name: "qat.v1.Serve/Answer",
        isIdempotent: false
    )
    /// Asks whether a daemon serves.
    public static let healthCheck = UnaryMethod<HealthCheckRequest, HealthCheckResponse>(
        name: "qat.v1.Health/Check",
        isIdempotent: true
    )
}
