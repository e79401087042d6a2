internal import Protocol

/// Who asks something of the gateway, whichever way they came.
struct Principal: Sendable {
    /// The name that their certificate, or what stands for one, vouches for.
    let identity: PeerIdentity
    /// Whether they are there still to hear the answer.
    let isConnected: @Sendable () -> Bool

    init(_ identity: PeerIdentity, isConnected: @escaping @Sendable () -> Bool = { true }) {
        self.identity = identity
        self.isConnected = isConnected
    }
}

/// What the gateway can be asked, by the names that the policy file uses.
enum Operation: String, Sendable, CaseIterable {
    case submitJob = "qat.v1.Jobs/Submit"
    case submitPipeline = "qat.v1.Jobs/SubmitPipeline"
    case getJob = "qat.v1.Jobs/Get"
    case getPipeline = "qat.v1.Jobs/GetPipeline"
    case listJobs = "qat.v1.Jobs/List"
    case watchJob = "qat.v1.Jobs/Watch"
    case cancelJob = "qat.v1.Jobs/Cancel"
    case pauseJob = "qat.v1.Jobs/Pause"
    case resumeJob = "qat.v1.Jobs/Resume"
    case retryJob = "qat.v1.Jobs/Retry"
    case removeJob = "qat.v1.Jobs/Remove"
    case cancelPipeline = "qat.v1.Jobs/CancelPipeline"
    case pausePipeline = "qat.v1.Jobs/PausePipeline"
    case resumePipeline = "qat.v1.Jobs/ResumePipeline"
    case retryPipeline = "qat.v1.Jobs/RetryPipeline"
    case jobLogs = "qat.v1.Jobs/Logs"
    case status = "qat.v1.Admin/Status"
    case findMissing = "qat.v1.Cas/FindMissing"
    case putBlob = "qat.v1.Cas/Put"
    case getBlob = "qat.v1.Cas/Get"
    case removeBlobs = "qat.v1.Cas/Remove"
    case collectGarbage = "qat.v1.Cas/CollectGarbage"
    case verifyArtifacts = "qat.v1.Admin/VerifyArtifacts"
    case registerWorker = "qat.v1.Lease/Register"
    case acquireLease = "qat.v1.Lease/Acquire"
    case heartbeat = "qat.v1.Lease/Heartbeat"
    case awaitDirective = "qat.v1.Lease/AwaitDirective"
    case saveCheckpoint = "qat.v1.Lease/SaveCheckpoint"
    case appendLog = "qat.v1.Lease/AppendLog"
    case completeLease = "qat.v1.Lease/Complete"
    case reviewKept = "qat.v1.Lease/ReviewKept"
    case generate = "qat.v1.Serve/Generate"
    case listModels = "qat.v1.Serve/Models"
    case takeRequests = "qat.v1.Serve/Take"
    case tellAnswers = "qat.v1.Serve/Answer"
    case healthCheck = "qat.v1.Health/Check"
}

extension Operation {
    /// Who may ever ask it, whatever a policy says.
    var callers: AccessRule {
        switch self {
        case .submitJob, .submitPipeline, .getJob, .getPipeline, .listJobs, .watchJob, .cancelJob,
            .pauseJob, .resumeJob, .retryJob, .removeJob, .cancelPipeline, .pausePipeline,
            .resumePipeline, .retryPipeline, .jobLogs, .status, .removeBlobs, .collectGarbage,
            .verifyArtifacts, .generate, .listModels:
            .users
        case .registerWorker, .acquireLease, .heartbeat, .awaitDirective, .saveCheckpoint,
            .appendLog, .completeLease, .reviewKept, .takeRequests, .tellAnswers:
            .workers
        case .findMissing, .putBlob, .getBlob: [.users, .workers]
        case .healthCheck: [.users, .services]
        }
    }
}

/// A principal and what they ask.
struct Caller: Sendable {
    let principal: Principal
    let operation: Operation

    init(_ principal: Principal, _ operation: Operation) {
        self.principal = principal
        self.operation = operation
    }
}
