internal import JobSpecs
internal import Jobs
internal import Protocol

extension JobEngine {
    /// Jobs that a user submits together.
    struct PipelineSubmission: Sendable {
        /// One of them.
        struct Part: Sendable {
            /// Its name, by which the others refer to it.
            let name: String
            /// The job; its key is of no matter, and `job:NAME` and ``Submission/after`` may name parts.
            let job: Submission
            /// Where its outputs may lie.
            let outputs: [String]
        }

        let owner: String
        let key: String
        let digest: SHA256Digest
        let name: String
        let parts: [Part]
    }

    /// Inserts a pipeline with all its jobs, or finds the one that was submitted with the same key
    /// before.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) above a limit, or where a job's reference leads
    ///   nowhere or back to itself; what ``submit(_:quota:)`` throws.
    func submit(
        _ pipeline: PipelineSubmission,
        quota: AccessPolicy.Quota = AccessPolicy.Quota()
    ) async throws -> (id: String, isCreated: Bool) {
        let order = try rules.order(of: pipeline)
        while true {
            let moment = now
            for part in order {
                guard let fault = rules.fault(inDeadline: part.job.deadline, at: moment) else {
                    continue
                }
                guard let known = try await known(pipeline) else {
                    throw SubmissionRules.refusal(fault)
                }
                return (known, false)
            }
            let (id, prepared): (String, [PreparedJob])
            do {
                (id, prepared) = try await prepare(pipeline, order, at: moment)
            } catch let error as StoreError where Self.mayBeRepeated(error) {
                guard let known = try await known(pipeline) else { throw error }
                return (known, false)
            }
            var batch = JobBatch()
            batch.pipelines = [
                JobBatch.Pipeline(
                    id: id,
                    owner: pipeline.owner,
                    key: pipeline.key,
                    digest: pipeline.digest,
                    name: pipeline.name,
                    created: moment.unix
                )
            ]
            for job in prepared { batch.add(job) }
            let waiting = prepared.count { $0.decision.job.state.isWaiting }
            let ceiling = JobBatch.Ceiling.waiting(
                quota.queued,
                of: pipeline.owner,
                for: waiting
            )
            batch.ceilings = ceiling.map { [$0] } ?? []
            switch try await commit(batch, prepared.map(\.decision)) {
            case .committed:
                for job in prepared { note(job.decision) }
                return (id, true)
            case .conflict:
                continue
            case .overQuota:
                guard let known = try await known(pipeline) else {
                    throw overQuota(
                        pipeline.owner,
                        pipelineOf: waiting > quota.queued ?? .max ? waiting : nil
                    )
                }
                return (known, false)
            case .taken:
                guard let known = try await known(pipeline) else { continue }
                return (known, false)
            case .artifactsGone:
                guard let known = try await known(pipeline) else { throw Self.artifactsGone }
                return (known, false)
            }
        }
    }

    private func known(_ pipeline: PipelineSubmission) async throws -> String? {
        try await known(pipeline: pipeline.key, of: pipeline.owner, pipeline.digest)
    }

    /// The pipeline that an owner submitted with a key before, if any.
    ///
    /// - Throws: ``StoreError`` (`alreadyExists`) if that was another one, or its jobs were removed.
    func known(
        pipeline key: String,
        of owner: String,
        _ digest: SHA256Digest
    ) async throws -> String? {
        guard let known = try await store.pipeline(owner: owner, key: key) else { return nil }
        try Self.check(known, is: digest, key: key, "pipeline")
        let parts = try await store.parts(of: known.id)
        guard !parts.jobs.isEmpty || !parts.unreadable.isEmpty else {
            throw StoreError(
                .alreadyExists,
                """
                key \(key) belongs to pipeline \(known.id), whose jobs were removed; \
                choose another key
                """
            )
        }
        return known.id
    }

    /// Decides on all jobs of a new pipeline; each sees those before it as they will be.
    private func prepare(
        _ pipeline: PipelineSubmission,
        _ order: [PipelineSubmission.Part],
        at moment: Moment
    ) async throws -> (id: String, jobs: [PreparedJob]) {
        let pipelineID = PipelineID.make(Self.makeID(moment))
        var ids: [String: String] = [:]
        var overlay = Overlay()
        var jobs: [PreparedJob] = []
        for (index, part) in order.enumerated() {
            var id = Self.makeID(moment)
            while ids.values.contains(id) { id = Self.makeID(moment) }
            let submission = resolved(part.job, key: "\(pipelineID)/\(index)", ids)
            try rules.check(submission, place: "job \(part.name): ")
            ids[part.name] = id
            let job: PreparedJob
            do {
                job = try await prepare(
                    submission,
                    id: id,
                    place: PipelinePlace(pipeline: pipelineID, part: part.name),
                    overlay: overlay,
                    at: moment
                )
            } catch let error as StoreError {
                throw StoreError(error.code, "job \(part.name): \(error.message)")
            }
            overlay.states[id] = job.decision.job.state
            overlay.outputs[id] = job.insertion.outputs
            overlay.depths[id] = job.insertion.depth
            jobs.append(job)
        }
        return (pipelineID, jobs)
    }

    /// A job with the ids of others in the places of their names, in its specification, too.
    private func resolved(
        _ submission: Submission,
        key: String,
        _ ids: [String: String]
    ) -> Submission {
        var spec = try? JSONParser.parse(submission.spec).value
        let inputs = submission.inputs.map { input in
            var input = input
            if case .job(let name, let output) = InputSource(input.source), let id = ids[name] {
                input.source = "job:\(id)/\(output)"
                spec = spec?.replacing(at: input.pointer, with: .string(input.source))
            }
            return input
        }
        return Submission(
            owner: submission.owner,
            key: key,
            digest: submission.digest,
            kind: submission.kind,
            name: submission.name,
            spec: spec?.canonicalBytes ?? submission.spec,
            resources: submission.resources,
            inputs: inputs,
            holder: submission.holder,
            checksArtifacts: submission.checksArtifacts,
            after: submission.after.map { ids[$0] ?? $0 },
            priority: submission.priority,
            deadline: submission.deadline,
            content: submission.content,
            reuse: submission.reuse
        )
    }

    /// A pipeline as lists show it.
    static func summary(_ pipeline: StoredPipeline) -> PipelineSummary {
        let total = pipeline.counts.values.reduce(0, +)
        let ended = JobState.terminal.reduce(0) { $0 + (pipeline.counts[$1] ?? 0) }
        return PipelineSummary(
            pipelineID: pipeline.id,
            name: pipeline.name,
            owner: pipeline.owner,
            state: PipelineState.state(of: pipeline.counts).rawValue,
            createdUnixMs: pipeline.created,
            finishedUnixMs: total == ended ? pipeline.finished : nil,
            jobs: UInt32(clamping: total),
            succeeded: UInt32(clamping: pipeline.counts[.succeeded] ?? 0),
            ended: UInt32(clamping: ended)
        )
    }

    /// A pipeline with its jobs.
    ///
    /// - Throws: ``StoreError`` (`notFound`).
    func pipeline(_ id: String) async throws -> PipelineDetail {
        guard let pipeline = try await store.pipelines([id]).first else {
            throw StoreError(.notFound, "no pipeline \(PlainText.quoted(id))")
        }
        // What is left of one whose jobs were removed is its key.
        guard !pipeline.counts.isEmpty else {
            throw StoreError(.notFound, "no pipeline \(PlainText.quoted(id))")
        }
        return PipelineDetail(
            summary: Self.summary(pipeline),
            jobs: try await summaries(try await store.parts(of: id))
        )
    }
}
