internal import CProtobufC
internal import Serving

/// One number for the schema that this build speaks, so that mixed builds can be told apart.
enum SchemaDigest {
    /// SHA-256 over every message's name, and every field's name, number and type.
    static let current: SHA256Digest = {
        var text = ""
        for schema in schemas {
            text += schema.name + "\n"
            let descriptor = schema.descriptor.pointee
            for index in 0..<Int(descriptor.n_fields) {
                guard let field = descriptor.fields?[index] else { continue }
                text += "\(String(cString: field.name)) \(field.id) \(field.type.rawValue)\n"
            }
        }
        return SHA256Digest.digest(of: Array(text.utf8))
    }()

    private static let schemas: [MessageSchema] = [
        SubmitJobRequest.schema, SubmitJobResponse.schema, GetJobRequest.schema,
        JobDetail.schema, ListJobsRequest.schema, ListJobsResponse.schema,
        WatchJobRequest.schema, JobEvent.schema, CancelJobRequest.schema, JobSummary.schema,
        RetryJobRequest.schema, JobLogsRequest.schema, LogChunk.schema, StatusRequest.schema,
        StatusResponse.schema, FindMissingRequest.schema, FindMissingResponse.schema,
        PutBlobRequest.schema, PutBlobResponse.schema, GetBlobRequest.schema,
        RegisterWorkerRequest.schema, RegisterWorkerResponse.schema, AcquireLeaseRequest.schema,
        AcquireLeaseResponse.schema, Lease.schema, HeartbeatRequest.schema,
        HeartbeatResponse.schema, AppendLogRequest.schema, AppendLogResponse.schema,
        CompleteLeaseRequest.schema, CompleteLeaseResponse.schema, HealthCheckRequest.schema,
        HealthCheckResponse.schema, FieldViolation.schema, Input.schema, InputFile.schema,
        OutputFile.schema, JobProgress.schema, ServiceInfo.schema, Checkpoint.schema,
        SaveCheckpointRequest.schema, SaveCheckpointResponse.schema, AwaitDirectiveRequest.schema,
        PipelineSummary.schema, PipelineDetail.schema, PipelineJob.schema,
        SubmitPipelineRequest.schema, SubmitPipelineResponse.schema, GetPipelineRequest.schema,
        CancelPipelineRequest.schema, RetryPipelineRequest.schema, KeptJob.schema,
        ReviewKeptRequest.schema, ReviewKeptResponse.schema, PauseJobRequest.schema,
        ResumeJobRequest.schema, PausePipelineRequest.schema, ResumePipelineRequest.schema,
        TextRequest.schema, TextToken.schema, TextToken.Alternative.schema, TextAnswer.schema,
        GenerateRequest.schema, ListModelsRequest.schema, ListModelsResponse.schema,
        ServedModel.schema, TakeRequestsRequest.schema, ReplicaOrder.schema, ReplicaAnswer.schema,
        ReplicaReport.schema, TellAnswersRequest.schema, TellAnswersResponse.schema,
    ]
}
