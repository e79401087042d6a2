internal import Protocol

// Jobs that users hold back, and let go on: their own, or, for operators, everybody's.
extension GatewayAPI {
    /// Asks that a job be held back; one that waits rests at once.
    func pause(_ request: PauseJobRequest, by principal: Principal) async throws -> JobSummary {
        try await change(request.jobID, Caller(principal, .pauseJob)) { user in
            try await engine.pause(request.jobID, by: user.name)
        }
    }

    /// Lets a job go on that is held back.
    func resume(_ request: ResumeJobRequest, by principal: Principal) async throws -> JobSummary {
        try await change(request.jobID, Caller(principal, .resumeJob)) { user in
            try await engine.resume(request.jobID, by: user.name)
        }
    }

    /// Asks that every job of a pipeline be held back that is not over, or about to be.
    func pause(
        _ request: PausePipelineRequest,
        by principal: Principal
    ) async throws -> PipelineDetail {
        try await change(pipeline: request.pipelineID, Caller(principal, .pausePipeline)) { user in
            try await engine.pausePipeline(request.pipelineID, by: user.name)
        }
    }

    /// Lets every job of a pipeline go on that is held back.
    func resume(
        _ request: ResumePipelineRequest,
        by principal: Principal
    ) async throws -> PipelineDetail {
        try await change(pipeline: request.pipelineID, Caller(principal, .resumePipeline)) { user in
            try await engine.resumePipeline(request.pipelineID, by: user.name)
        }
    }
}
