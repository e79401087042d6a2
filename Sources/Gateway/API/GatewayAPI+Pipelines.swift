internal import JobSpecs
internal import Jobs
internal import Protocol

extension GatewayAPI {
    /// Takes jobs that refer to one another, all or none, exactly once per user and key.
    func submit(
        _ request: SubmitPipelineRequest,
        by principal: Principal
    ) async throws -> SubmitPipelineResponse {
        let caller = Caller(principal, .submitPipeline)
        let user = try authority.user(caller)
        let names = Set(request.jobs.map(\.name))
        var parts: [JobEngine.PipelineSubmission.Part] = []
        var hasher = SHA256Hasher()
        hasher.update(Array("\(request.name)\n".utf8))
        for job in request.jobs {
            do {
                let (submission, spec) = try await read(job.job, names: names, by: user, caller)
                hasher.update(Array("\(job.name)\n".utf8) + submission.digest.bytes)
                parts.append(
                    JobEngine.PipelineSubmission.Part(
                        name: job.name,
                        job: submission,
                        outputs: spec.outputs
                    )
                )
            } catch let error as StoreError {
                let name = PlainText.quoted(job.name, byteLimit: engine.limits.partBytes)
                throw StoreError(error.code, "job \(name): \(error.message)")
            }
        }
        let (id, isCreated) = try await engine.submit(
            JobEngine.PipelineSubmission(
                owner: user.name,
                key: request.key,
                digest: hasher.finalize(),
                name: request.name,
                parts: parts
            ),
            quota: authority.policy.quota(of: user.name)
        )
        authority.audit.allow(caller, "pipeline \(id)")
        return SubmitPipelineResponse(
            pipelineID: id,
            created: isCreated,
            jobs: try await engine.pipeline(id).jobs
        )
    }

    /// One pipeline with its jobs.
    func pipeline(
        _ request: GetPipelineRequest,
        by principal: Principal
    ) async throws -> PipelineDetail {
        let caller = Caller(principal, .getPipeline)
        _ = try await user(caller, to: .see, pipeline: request.pipelineID)
        return try await engine.pipeline(request.pipelineID)
    }

    /// Asks that every job of a pipeline be cancelled.
    func cancel(
        _ request: CancelPipelineRequest,
        by principal: Principal
    ) async throws -> PipelineDetail {
        let id = request.pipelineID
        let caller = Caller(principal, .cancelPipeline)
        let user = try await user(caller, to: .act, pipeline: id)
        try await engine.cancelPipeline(id, now: request.now, by: user.name)
        authority.audit.allow(caller, "pipeline \(id)")
        return try await engine.pipeline(id)
    }

    /// Puts every failed or cancelled job of a pipeline back into the queue.
    func retry(
        _ request: RetryPipelineRequest,
        by principal: Principal
    ) async throws -> PipelineDetail {
        let id = request.pipelineID
        let caller = Caller(principal, .retryPipeline)
        let user = try await user(caller, to: .act, pipeline: id)
        try await engine.retryPipeline(id, by: user.name)
        authority.audit.allow(caller, "pipeline \(id)")
        return try await engine.pipeline(id)
    }

    /// The caller, who may have their way with a pipeline: all its jobs have one owner.
    private func user(
        _ caller: Caller,
        to access: JobAccess,
        pipeline id: String
    ) async throws -> User {
        let user = try authority.user(caller)
        let unknown = StoreError(.notFound, "no pipeline \(PlainText.quoted(id))")
        guard let part = try await engine.store.parts(of: id).first else { throw unknown }
        do {
            try authority.check(user, access, part, caller)
        } catch let error as StoreError where error.code == .notFound {
            throw unknown
        }
        return user
    }
}
