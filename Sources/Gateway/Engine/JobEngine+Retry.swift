internal import Jobs

extension JobEngine {
    /// Puts a failed or cancelled job back into the queue under the same id.
    ///
    /// `withDependents`: Whether jobs of the same owner run again, too, that ended because of it, and
    /// those that ended because of these. Of a job in a pipeline they always do.
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
    /// waits for.
    ///
    /// - Throws: ``StoreError`` (`invalidState`) if there is none.
    func retryPipeline(_ id: String, by user: String) async throws {
        var isChanged = false
        let parts = try await store.parts(of: id)
        for part in parts where [.failed, .cancelled].contains(part.job.state) {
            isChanged = try await retryOne(part.job.id, by: user).isChange || isChanged
        }
        guard isChanged else {
            throw StoreError(.invalidState, "no job of pipeline \(id) failed or was cancelled")
        }
    }

    /// Asks that every job of a pipeline end; those that wait for others go first, so that they end by
    /// the request, and not by their inputs' end.
    func cancelPipeline(_ id: String, now isNow: Bool, by user: String) async throws {
        for part in try await store.parts(of: id).reversed() where !part.job.state.isTerminal {
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
        var last: Int64 = 0
        while true {
            let page = try await store.dependents(of: id, in: states, after: last, limit: 256)
            for stored in page {
                last = stored.number
                try await body(stored)
            }
            guard page.count == 256 else { return }
        }
    }
}
