internal import Protocol

// Jobs that users hold back, and let go on: their own, or, for operators, everybody's.
extension GatewayAPI {
    /// Asks that a job be held back; one that waits rests at once.
    func pause(_ request: PauseJobRequest, by principal: Principal) async throws -> JobSummary {
        let caller = Caller(principal, .pauseJob)
        let user = try await user(caller, to: .act, request.jobID)
        if try await engine.pause(request.jobID, by: user.name) {
            authority.audit.allow(caller, "job \(request.jobID)")
        }
        return try await engine.detail(request.jobID).summary
    }

    /// Lets a job go on that is held back.
    func resume(_ request: ResumeJobRequest, by principal: Principal) async throws -> JobSummary {
        let caller = Caller(principal, .resumeJob)
        let user = try await user(caller, to: .act, request.jobID)
        if try await engine.resume(request.jobID, by: user.name) {
            authority.audit.allow(caller, "job \(request.jobID)")
        }
        return try await engine.detail(request.jobID).summary
    }

    /// Asks that every job of a pipeline be held back that is not over, or about to be.
    func pause(
        _ request: PausePipelineRequest,
        by principal: Principal
    ) async throws -> PipelineDetail {
        let id = request.pipelineID
        let caller = Caller(principal, .pausePipeline)
        let user = try await user(caller, to: .act, pipeline: id)
        if try await engine.pausePipeline(id, by: user.name) {
            authority.audit.allow(caller, "pipeline \(id)")
        }
        return try await engine.pipeline(id)
    }

    /// Lets every job of a pipeline go on that is held back.
    func resume(
        _ request: ResumePipelineRequest,
        by principal: Principal
    ) async throws -> PipelineDetail {
        let id = request.pipelineID
        let caller = Caller(principal, .resumePipeline)
        let user = try await user(caller, to: .act, pipeline: id)
        if try await engine.resumePipeline(id, by: user.name) {
            authority.audit.allow(caller, "pipeline \(id)")
        }
        return try await engine.pipeline(id)
    }
}
