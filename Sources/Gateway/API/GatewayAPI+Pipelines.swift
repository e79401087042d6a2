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
        let (id, isCreated): (String, Bool)
        do {
            try await checkRoom(of: user.name)
            (id, isCreated) = try await engine.submit(
                try await read(request, by: user, caller),
                quota: authority.policy.quota(of: user.name)
            )
        } catch let error as StoreError where JobEngine.mayBeRepeated(error) {
            // Repeated after the answer was lost: what it names may be gone since.
            guard let known = try await known(request, of: user) else { throw error }
            (id, isCreated) = (known, false)
        }
        if isCreated { authority.audit.allow(caller, "pipeline \(id)") }
        return SubmitPipelineResponse(
            pipelineID: id,
            created: isCreated,
            jobs: try await engine.pipeline(id).jobs
        )
    }

    /// What a request asks for, once the user may have it and all of it is here.
    private func read(
        _ request: SubmitPipelineRequest,
        by user: User,
        _ caller: Caller
    ) async throws -> JobEngine.PipelineSubmission {
        let names = Set(request.jobs.map(\.name))
        var parts: [JobEngine.PipelineSubmission.Part] = []
        var specs: [String: JobSpec] = [:]
        for job in request.jobs {
            do {
                guard job.job.key.isEmpty else {
                    throw StoreError(.invalidArgument, "has a key; only the pipeline has one")
                }
                let (submission, spec) = try await read(job.job, names: names, by: user, caller)
                specs[job.name] = spec
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
        for part in parts { try Self.check(part, among: specs) }
        return JobEngine.PipelineSubmission(
            owner: user.name,
            key: request.key,
            digest: Self.digest(request, parts.map(\.job.digest)),
            name: request.name,
            parts: parts
        )
    }

    /// Checks that what a job of a pipeline takes of others is what it asks for there.
    private static func check(
        _ part: JobEngine.PipelineSubmission.Part,
        among specs: [String: JobSpec]
    ) throws {
        guard let spec = specs[part.name] else { return }
        for input in part.job.inputs {
            guard case .job(let name, let output) = InputSource(input.source),
                let source = specs[name]
            else { continue }
            try check(
                output,
                of: "\(source.kind.rawValue) job \(name)",
                source.typedOutputs,
                at: "job \(part.name): \(input.pointer)",
                pointer: input.pointer,
                of: spec
            )
        }
    }

    /// The pipeline that the same request made before.
    private func known(_ request: SubmitPipelineRequest, of user: User) async throws -> String? {
        let digests = request.jobs.compactMap { Self.digest($0.job) }
        guard digests.count == request.jobs.count else {
            let known = try await engine.store.pipeline(owner: user.name, key: request.key)
            try Self.refuseUnreadable(key: request.key, of: known.map { "pipeline \($0.id)" })
            return nil
        }
        return try await engine.known(
            pipeline: request.key,
            of: user.name,
            Self.digest(request, digests)
        )
    }

    /// The digest of everything that makes a submission what it is; `jobs` are those of its jobs.
    private static func digest(
        _ request: SubmitPipelineRequest,
        _ jobs: [SHA256Digest]
    ) -> SHA256Digest {
        var hasher = SHA256Hasher()
        hasher.update(Array("\(request.name)\n".utf8))
        for (job, digest) in zip(request.jobs, jobs) {
            hasher.update(Array("\(job.name)\n".utf8) + digest.bytes)
        }
        return hasher.finalize()
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
        try await change(pipeline: request.pipelineID, Caller(principal, .cancelPipeline)) { user in
            try await engine.cancelPipeline(request.pipelineID, now: request.now, by: user.name)
        }
    }

    /// Changes the jobs of a pipeline for a user who may have their way with them; the audit log says so if it is
    /// a change.
    ///
    /// `body`: Makes it, and says whether anything changed.
    func change(
        pipeline id: String,
        _ caller: Caller,
        _ body: (User) async throws -> Bool
    ) async throws -> PipelineDetail {
        let user = try await user(caller, to: .act, pipeline: id)
        if try await body(user) { authority.audit.allow(caller, "pipeline \(id)") }
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
        if let part = try await engine.store.parts(of: id).jobs.first {
            try await checkRoom(of: part.owner)
        }
        try await engine.retryPipeline(id, by: user.name)
        authority.audit.allow(caller, "pipeline \(id)")
        return try await engine.pipeline(id)
    }

    /// The caller, who may have their way with a pipeline: all its jobs have one owner.
    func user(
        _ caller: Caller,
        to access: JobAccess,
        pipeline id: String
    ) async throws -> User {
        let user = try authority.user(caller)
        let unknown = StoreError(.notFound, "no pipeline \(PlainText.quoted(id))")
        let parts = try await engine.store.parts(of: id)
        guard let part = (parts.jobs.map(\.job.id) + parts.unreadable.map(\.id)).first else {
            throw unknown
        }
        do {
            let row = try await engine.store.row(part)
            try authority.check(user, access, job: part, of: row.owner, caller)
        } catch let error as StoreError where error.code == .notFound {
            throw unknown
        }
        return user
    }
}
