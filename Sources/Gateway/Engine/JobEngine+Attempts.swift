internal import JobSpecs
internal import Jobs
internal import Protocol

extension JobEngine {
    /// Makes files the job's newest checkpoint.
    ///
    /// `checkStored`: Throws if they are not stored, or not the worker's to name.
    ///
    /// - Returns: The digests that it takes the place of; nil if it was not taken: not without the lease,
    ///   nor over a newer one.
    func saveCheckpoint(
        _ id: String,
        _ claim: LeaseClaim,
        _ checkpoint: Checkpoint,
        checkStored: ([OutputFile]) async throws -> Void = { _ in }
    ) async throws -> Set<SHA256Digest>? {
        var replaced: [OutputFile] = []
        let step = Int64(clamping: checkpoint.step)
        let decision = try await changeLeased(id) { stored in
            let decision = decide(.checkpointed(claim, step: step), stored.job)
            var batch = JobBatch()
            if decision.isChange {
                try rules.check(
                    checkpoint,
                    maximumSteps: try await maximumSteps(of: stored.job)
                )
                try await checkStored(checkpoint.files)
                replaced = try await readable { try await store.checkpoint(of: id) }
                batch.changes = [
                    JobBatch.Change(job: decision.job, checkpoint: checkpoint.files)
                ]
                batch.closings = [closing(checkpoint.files, to: claim.holder.worker)]
            }
            return (decision, batch)
        }
        guard let decision, decision.isChange else { return nil }
        return Set(replaced.map(\.digest))
    }

    /// The steps that a job takes at most, if its specification says so.
    private func maximumSteps(of job: Job) async throws -> UInt64? {
        guard job.kind == .train else { return nil }
        let document = try await store.document(job.id)
        guard
            case .train(let spec) = try? JobSpec.parse(
                kind: job.kind.rawValue,
                json: document.spec
            )
        else { return nil }
        return spec.trainer.maximumSteps.map { UInt64(max(0, $0)) }
    }

    /// What a job refers to needs its worker no more to be kept.
    func closing(_ files: [OutputFile], to worker: WorkerIdentity) -> JobBatch.Closing {
        JobBatch.Closing(holder: Grant.holder(worker), digests: Set(files.map(\.digest)))
    }

    /// The job's newest checkpoint, for a lease.
    func checkpoint(of job: Job) async throws -> Checkpoint? {
        guard job.checkpointStep > 0 else { return nil }
        let files = try await store.checkpoint(of: job.id)
        return files.isEmpty
            ? nil : Checkpoint(step: UInt64(clamping: job.checkpointStep), files: files)
    }

    /// What a worker is to do.
    ///
    /// `knowsPause`: Whether it can be told to pause.
    func directive(
        _ id: String,
        _ claim: LeaseClaim,
        knowsPause: Bool = false
    ) async throws -> HeartbeatResponse.Directive {
        guard try await holds(id, claim) else { return .lost }
        return Self.directive(try await store.job(id).job, knowsPause: knowsPause)
    }

    /// A worker of before there were pauses would refuse an answer that it does not know, and with it the news
    /// that it had sent: it is told to cancel, and what it then tells is taken for what was meant.
    static func directive(_ job: Job, knowsPause: Bool) -> HeartbeatResponse.Directive {
        switch job.cancellation {
        case .none where job.state == .pausing: knowsPause ? .pause : .cancel
        case .none: .continue
        case .gently: .cancel
        case .now: .cancelNow
        }
    }
}
