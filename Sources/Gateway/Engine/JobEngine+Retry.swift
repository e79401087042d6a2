internal import Jobs

extension JobEngine {
    /// Puts a failed or cancelled job back into the queue under the same id.
    ///
    /// `withDependents`: Whether jobs of the same owner run again, too, that ended because of it, and
    /// those that ended because of these. Of a job in a pipeline they always do. Where the owner's quota
    /// of waiting jobs is reached on the way, the rest stays as it is.
    ///
    /// - Throws: ``StoreError`` (`notFound`; `invalidState`; `quota`).
    func retry(_ id: String, by user: String, withDependents: Bool = false) async throws {
        let stored = try await store.job(id)
        let decision = try await retryOne(id, by: user)
        if case .refused(let message) = decision.verdict {
            throw StoreError(.invalidState, message)
        }
        guard withDependents || stored.place != nil else { return }
        var work = [id]
        while let next = work.popLast() {
            try await forEachDependent(of: next, in: [.failed]) { dependent in
                guard dependent.owner == stored.owner, dependent.job.reason.isDependency else {
                    return
                }
                // One that another failure still holds back stays; it is retried with that one.
                let again = try await retryOne(dependent.job.id, by: user, ifItMayStart: true)
                if again.isChange {
                    work.append(dependent.job.id)
                }
            }
        }
    }

    /// Puts every failed or cancelled job of a pipeline back into the queue, each after those that it
    /// waits for: all, or none.
    ///
    /// - Throws: ``StoreError`` (`invalidState`) if there is none; (`quota`) if its owner would have too
    ///   many waiting.
    func retryPipeline(_ id: String, by user: String) async throws {
        for _ in 0..<Self.attemptLimit {
            let parts = try await store.parts(of: id).jobs
                .filter { [.failed, .cancelled].contains($0.job.state) }
            guard let owner = parts.first?.owner else {
                throw StoreError(.invalidState, "no job of pipeline \(id) failed or was cancelled")
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
            case .overQuota: throw Self.overQuota(owner)
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
    private func ceilings(of owner: String, for count: Int) -> [JobBatch.Ceiling] {
        let quota = policies.policy.quota(of: owner).queued
        return JobBatch.Ceiling.waiting(quota, of: owner, for: count).map { [$0] } ?? []
    }

    /// Asks that every job of a pipeline end; those that wait for others go first, so that they end by
    /// the request, and not by their inputs' end.
    func cancelPipeline(_ id: String, now isNow: Bool, by user: String) async throws {
        for part in try await store.parts(of: id).jobs.reversed() where !part.job.state.isTerminal {
            try await cancel(part.job.id, now: isNow, by: user)
        }
    }

    private func retryOne(
        _ id: String,
        by user: String,
        ifItMayStart: Bool = false
    ) async throws -> Decision {
        try await change(id) { stored in
            let inputs = try await settledInputs(of: stored.job.id)
            if ifItMayStart, !inputs.verdict.mayStart {
                return (Decision(unchanged: stored.job), JobBatch())
            }
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
