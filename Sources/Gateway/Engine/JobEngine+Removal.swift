internal import Jobs
internal import Protocol

extension JobEngine {
    /// Events that one transaction takes out of a history.
    private static let trimLimit = 500

    /// Removes a job that is over with all that is stored of it; its key stays taken.
    ///
    /// - Returns: The artifacts that it referred to.
    /// One whose row cannot be read goes, too, whoever waits for it: nobody can do more with it.
    ///
    /// - Throws: ``StoreError`` (`notFound`; `invalidState` if it is not over, or one that is not over
    ///   needs it, or it is of a pipeline).
    func remove(_ id: String) async throws -> Set<SHA256Digest> {
        try await remove("job \(id)") {
            let row = try await store.row(id)
            if let pipeline = row.pipeline {
                throw StoreError(.invalidState, Retention.refusal(of: id, partOf: pipeline))
            }
            do {
                return Leaving(jobs: [try await store.job(id)])
            } catch let error as StoreError where error.code == .corrupt {
                return Leaving(unreadable: [row])
            }
        }
    }

    /// Removes all jobs of a pipeline, or none.
    ///
    /// - Returns: Their ids, and the artifacts that they referred to.
    /// - Throws: ``StoreError`` (`notFound`; `invalidState` if one of them is not over, or one that is
    ///   not over needs one of them).
    func removePipeline(_ id: String) async throws -> (jobs: [String], digests: Set<SHA256Digest>) {
        var jobs: [String] = []
        let digests = try await remove("pipeline \(id)") {
            let parts = try await store.parts(of: id)
            var leaving = Leaving(jobs: parts.jobs)
            for row in parts.unreadable { leaving.unreadable.append(try await store.row(row.id)) }
            jobs = leaving.ids
            guard !jobs.isEmpty else {
                throw StoreError(.notFound, "no pipeline \(PlainText.quoted(id))")
            }
            return leaving
        }
        return (jobs, digests)
    }

    /// What is to go at once.
    private struct Leaving {
        var jobs: [StoredJob] = []
        var unreadable: [JobRow] = []

        var ids: [String] { jobs.map(\.job.id) + unreadable.map(\.id) }
    }

    private func remove(
        _ what: String,
        _ look: () async throws -> Leaving
    ) async throws -> Set<SHA256Digest> {
        for _ in 0..<Self.attemptLimit {
            let leaving = try await look()
            let jobs = leaving.jobs
            var digests: Set<SHA256Digest> = []
            var batch = JobBatch()
            for stored in jobs { try Self.check(Retention.refusal(of: stored.job, needing: [])) }
            for stored in jobs { try await checkUnneeded(stored, besides: Set(leaving.ids)) }
            // First: what needs the others may be among them.
            for row in leaving.unreadable {
                digests.formUnion(try await artifacts(of: row.id))
                batch.removals.append(
                    JobBatch.Removal(
                        id: row.id,
                        version: row.version,
                        unlessNeededIn: [],
                        time: now.unix
                    )
                )
            }
            for stored in jobs {
                // In portions, so that what is left to remove at once is small.
                _ = try await trim(stored)
                digests.formUnion(try await artifacts(of: stored.job.id))
                batch.removals.append(
                    JobBatch.Removal(
                        id: stored.job.id,
                        version: stored.job.version,
                        unlessNeededIn: JobState.living,
                        time: now.unix
                    )
                )
            }
            // Somebody retried one, or submitted a job that needs one: another look.
            guard try await store.commit(batch) == .committed else { continue }
            for id in leaving.ids { hub.signal(id) }
            // Who waited for one that could not be read learns that it never will be.
            for row in leaving.unreadable { await settleDependents(of: row.id) }
            return digests
        }
        throw StoreError(.busy, "\(what) is being changed by too many callers; try again")
    }

    private static func check(_ refusal: String?) throws {
        if let refusal { throw StoreError(.invalidState, refusal) }
    }

    /// `leaving`: The jobs that go with it, which keep it from nothing.
    private func checkUnneeded(_ stored: StoredJob, besides leaving: Set<String>) async throws {
        let needing = try await store.dependents(
            of: stored.job.id,
            in: JobState.living,
            after: 0,
            limit: leaving.count + 1
        )
        let jobs = needing.jobs.map(\.job).filter { !leaving.contains($0.id) }
        try Self.check(Retention.refusal(of: stored.job, needing: jobs))
        if let row = needing.unreadable.first(where: { !leaving.contains($0.id) }) {
            throw StoreError(
                .invalidState,
                "job \(stored.job.id) is needed by job \(row.id), which cannot be read; "
                    + "remove that one first"
            )
        }
    }

    /// The artifacts that a job refers to, as far as that can be read; the others are found when everything
    /// is looked through for what nobody refers to.
    private func artifacts(of id: String) async throws -> Set<SHA256Digest> {
        let inputs = try await readable { try await store.inputs(of: id) }
        let outputs = try await readable { try await store.outputs(of: id) }
        let checkpoint = try await readable { try await store.checkpoint(of: id) }
        return Set(inputs.flatMap(\.files).map(\.digest) + (outputs + checkpoint).map(\.digest))
    }

    /// What is stored, or nothing where it cannot be read, which is told of: for what must not fail for it.
    func readable<Element>(_ read: () async throws -> [Element]) async throws -> [Element] {
        do {
            return try await read()
        } catch let error as StoreError where error.code == .corrupt {
            remarks.tell(error.message)
            return []
        }
    }

    /// Takes the details out of the history of a job that is over: what is left are its states.
    ///
    /// - Returns: How many events went.
    func trim(_ stored: StoredJob) async throws -> Int {
        guard let finished = stored.job.finished, stored.job.state.isTerminal else { return 0 }
        return try await trim(stored.job.id, through: .max, finished: finished)
    }

    /// Takes the oldest details out of the history of a job that is not over.
    ///
    /// `kept`: How many of its newest events stay whole.
    ///
    /// - Returns: How many events went.
    func trim(_ stored: StoredJob, keeping kept: Int64) async throws -> Int {
        guard !stored.job.state.isTerminal, stored.job.lastSeq > kept else { return 0 }
        return try await trim(
            stored.job.id,
            through: UInt64(clamping: stored.job.lastSeq - kept),
            finished: nil
        )
    }

    /// `finished`: When the job ended, if nothing is to be left of the details.
    private func trim(_ id: String, through end: UInt64, finished: Int64?) async throws -> Int {
        var count = 0
        var last: Int64 = 0
        while true {
            try Task.checkCancellation()
            let read = try await store.events(of: id, after: last, limit: Self.trimLimit)
            // What cannot be read goes with the details.
            for fault in read.faults { remarks.tell(fault) }
            let page = read.events.prefix { $0.seq <= end }
            let gone = page.filter { !Retention.outlivesDetails(isState: $0.type == .state) }
            let isLast = page.count < Self.trimLimit
            var trim = JobBatch.Trim(id: id, seqs: gone.map(\.seq))
            if isLast { trim.finished = finished }
            var batch = JobBatch()
            batch.trims = [trim]
            _ = try await store.commit(batch)
            count += gone.count
            guard !isLast, let end = page.last?.seq else { return count }
            last = Int64(clamping: end)
        }
    }

    /// Lets go of the checkpoint of a job that is over.
    ///
    /// - Returns: The artifacts that it consisted of; nil if the job goes on.
    func forgetCheckpoint(of id: String) async throws -> Set<SHA256Digest>? {
        var files: [OutputFile] = []
        let decision = try await change(id) { stored in
            let decision = decide(.checkpointExpired, stored.job)
            var batch = JobBatch()
            if decision.isChange {
                files = try await store.checkpoint(of: id)
                batch.changes = [JobBatch.Change(job: decision.job, checkpoint: [])]
            }
            return (decision, batch)
        }
        return decision.isChange ? Set(files.map(\.digest)) : nil
    }
}
