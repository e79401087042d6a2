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
                try rules.check(checkpoint: checkpoint.files)
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
    func directive(_ id: String, _ claim: LeaseClaim) async throws -> HeartbeatResponse.Directive {
        guard try await holds(id, claim) else { return .lost }
        return Self.directive(try await store.job(id).job)
    }

    static func directive(_ job: Job) -> HeartbeatResponse.Directive {
        switch job.cancellation {
        case .none: .continue
        case .gently: .cancel
        case .now: .cancelNow
        }
    }
}
