internal import Jobs

extension JobEngine {
    /// Puts a failed or cancelled job back into the queue under the same id.
    ///
    /// `withDependents`: Whether jobs of the same owner run again, too, that ended because of it, and
    /// those that ended because of these. Of a job in a pipeline they always do. Where the owner's quota
    /// of waiting jobs is reached on the way, the rest stays as it is. A job that waits, runs or is done
    /// is as well as retried if dependents are left: a retry that was cut off is taken up again.
    ///
    /// `onEnd`: Gets what came of it, also if it ends with an error on the way.
    ///
    /// - Throws: ``StoreError`` (`notFound`; `invalidState` if there is nothing to retry; `quota` if the
    ///   job itself is beyond it).
    @discardableResult
    func retry(
        _ id: String,
        by user: String,
        withDependents: Bool = false,
        onEnd: (RetryOutcome) -> Void = { _ in }
    ) async throws -> RetryOutcome {
        var wave = RetryWave(owner: try await store.job(id).owner, user: user)
        defer { onEnd(wave.outcome) }
        let isPart = try await store.job(id).place != nil
        let decision = try await retryOne(id, by: user)
        wave.outcome.isJobRetried = decision.isChange
        if withDependents || isPart {
            try await retryDependents(of: id, &wave)
        }
        if case .refused(let message) = decision.verdict, wave.outcome == RetryOutcome() {
            throw StoreError(.invalidState, message)
        }
        return wave.outcome
    }

    /// Puts every failed or cancelled job of a pipeline back into the queue, each after those that it
    /// waits for: all, or none.
    ///
    /// - Throws: ``StoreError`` (`invalidState`) if there is none; (`quota`) if its owner would have too
    ///   many waiting.
    func retryPipeline(_ id: String, by user: String) async throws {
        for _ in 0..<Self.attemptLimit {
            let all = try await store.parts(of: id).jobs
            let parts = all.filter { [.failed, .cancelled].contains($0.job.state) }
            guard let owner = parts.first?.owner else {
                let hint =
                    all.contains { $0.job.isHeldBack }
                    ? "; resume what is paused (qat-client resume \(id))" : ""
                throw StoreError(
                    .invalidState,
                    "no job of pipeline \(id) failed or was cancelled\(hint)"
                )
            }
            var batch = JobBatch()
            var overlay = Overlay()
            var decisions: [Decision] = []
            for part in parts {
                let inputs = try await settledInputs(of: part.job.id, overlay: overlay)
                let decision = decide(.retried(by: user, inputs: inputs.verdict), part.job)
                batch.tell(decision)
                batch.changes.append(JobBatch.Change(job: decision.job, files: inputs.files))
                batch.conditions += inputs.conditions
                overlay.states[part.job.id] = decision.job.state
                decisions.append(decision)
            }
            let waiting = decisions.count { $0.job.state.isWaiting }
            batch.ceilings = ceilings(of: owner, for: waiting)
            switch try await commit(batch, decisions) {
            case .committed: break
            case .overQuota: throw overQuota(owner)
            default: continue
            }
            for decision in decisions { note(decision) }
            for decision in decisions where decision.job.state.isTerminal {
                await settleDependents(of: decision.job.id)
            }
            return
        }
        throw StoreError(.busy, "pipeline \(id) is being changed by too many callers; try again")
    }

    /// What holds a retry back that makes so many jobs wait.
    func ceilings(of owner: String, for count: Int) -> [JobBatch.Ceiling] {
        let quota = policies.policy.quota(of: owner).queued
        return JobBatch.Ceiling.waiting(quota, of: owner, for: count).map { [$0] } ?? []
    }

    /// Asks that every job of a pipeline end; those that wait for others go first, so that they end by
    /// the request, and not by their inputs' end.
    ///
    /// - Returns: Whether that changed anything.
    @discardableResult
    func cancelPipeline(_ id: String, now isNow: Bool, by user: String) async throws -> Bool {
        var isChange = false
        for part in try await store.parts(of: id).jobs.reversed() where !part.job.state.isTerminal {
            if try await cancel(part.job.id, now: isNow, by: user) { isChange = true }
        }
        return isChange
    }

    private func retryOne(_ id: String, by user: String) async throws -> Decision {
        try await change(id) { stored in
            let inputs = try await settledInputs(of: stored.job.id)
            let decision = decide(.retried(by: user, inputs: inputs.verdict), stored.job)
            var batch = JobBatch()
            if decision.isChange {
                batch.changes = [JobBatch.Change(job: decision.job, files: inputs.files)]
                batch.conditions = inputs.conditions
                batch.ceilings = ceilings(
                    of: stored.owner,
                    for: decision.job.state.isWaiting ? 1 : 0
                )
            }
            return (decision, batch)
        }
    }

    /// Calls `body` for every job in some states that waits or waited for another one.
    func forEachDependent(
        of id: String,
        in states: [JobState],
        _ body: (StoredJob) async throws -> Void
    ) async throws {
        try await forEach(
            { try await store.dependents(of: id, in: states, after: $0, limit: $1) },
            body
        )
    }
}
