internal import Jobs

extension JobEngine {
    /// Holds a job back, or asks the worker that runs it to stop for that.
    ///
    /// - Returns: Whether that changed anything: not if it is held back already.
    /// - Throws: ``StoreError`` (`notFound`; `invalidState` if it is over, or about to end).
    @discardableResult
    func pause(_ id: String, by user: String) async throws -> Bool {
        try Self.isChange(try await apply(.paused(by: user), to: id))
    }

    /// Lets a job go on that is held back; what it needs is looked at anew.
    ///
    /// No quota keeps it: as long as it rests it is one of its owner's waiting jobs.
    ///
    /// - Returns: Whether that changed anything: not if it goes on already.
    /// - Throws: ``StoreError`` (`notFound`; `invalidState` if it is over, or about to end).
    @discardableResult
    func resume(_ id: String, by user: String) async throws -> Bool {
        try Self.isChange(try await resumeOne(id, by: user))
    }

    private func resumeOne(_ id: String, by user: String) async throws -> Decision {
        try await change(id) { stored in
            guard stored.job.state == .paused else {
                return (decide(.resumed(by: user, inputs: .waiting), stored.job), JobBatch())
            }
            let inputs = try await settledInputs(of: id)
            let decision = decide(.resumed(by: user, inputs: inputs.verdict), stored.job)
            var batch = JobBatch()
            batch.changes = [JobBatch.Change(job: decision.job, files: inputs.files)]
            batch.conditions = inputs.conditions
            return (decision, batch)
        }
    }

    /// Holds every job of a pipeline back that is not over or about to be, those first that have no worker, so
    /// that none of them takes the place of one that stops.
    ///
    /// - Returns: Whether that changed anything.
    /// - Throws: ``StoreError`` (`invalidState`) if there is no such job.
    @discardableResult
    func pausePipeline(_ id: String, by user: String) async throws -> Bool {
        let jobs = try await store.parts(of: id).jobs
        let waiting = jobs.filter { !$0.job.state.isLeased }
        let leased = jobs.filter { $0.job.state.isLeased }
        return try await forEachLiving(waiting + leased, of: id, "paused") { part in
            try await apply(.paused(by: user), to: part)
        }
    }

    /// Lets every job of a pipeline go on that is held back, each after those that it waits for.
    ///
    /// - Returns: Whether that changed anything.
    /// - Throws: ``StoreError`` (`invalidState`) if all are over or about to be.
    @discardableResult
    func resumePipeline(_ id: String, by user: String) async throws -> Bool {
        let jobs = try await store.parts(of: id).jobs
        return try await forEachLiving(jobs, of: id, "resumed") { part in
            try await resumeOne(part, by: user)
        }
    }

    /// `what`: What becomes of them, for the refusal if there is none.
    private func forEachLiving(
        _ jobs: [StoredJob],
        of pipeline: String,
        _ what: String,
        _ body: (String) async throws -> Decision
    ) async throws -> Bool {
        var isAny = false
        var isChange = false
        for part in jobs where !part.job.state.isTerminal {
            let decision = try await body(part.job.id)
            // Else it has ended meanwhile, or is about to.
            isAny = isAny || decision.verdict == .accepted
            isChange = isChange || decision.isChange
        }
        guard isAny else {
            throw StoreError(
                .invalidState,
                "no job of pipeline \(pipeline) can be \(what): all have ended, or are about to"
            )
        }
        return isChange
    }
}
