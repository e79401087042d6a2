internal import Jobs
internal import Protocol

extension JobEngine {
    /// Jobs that one look at a row goes through; beyond, what was stored at their submission counts.
    private static let walkLimit = 4_096

    /// How many jobs in a row wait for one another up to the last of some that have not ended, these
    /// included.
    ///
    /// What is stored with a job is the depth at its submission, which is the most it ever is: those before
    /// it end. So it is counted anew where more than one waited then.
    func depth(of living: [StoredJob]) async throws -> Int {
        var depths: [String: Int] = [:]
        var sources: [String: [StoredJob]] = [:]
        var stack = living
        // From the ends to the beginnings and back, without recursion.
        while let job = stack.last {
            let id = job.job.id
            if depths[id] != nil {
                stack.removeLast()
                continue
            }
            // Only a blocked job waits for others, and one that rests may when it is resumed.
            if ![.blocked, .paused].contains(job.job.state) || job.depth <= 1 {
                depths[id] = 1
            } else if depths.count >= Self.walkLimit {
                depths[id] = job.depth
            } else if let known = sources[id] {
                depths[id] = 1 + (known.compactMap { depths[$0.job.id] }.max() ?? 0)
            } else {
                let found = try await livingSources(of: job)
                sources[id] = found
                stack += found.filter { depths[$0.job.id] == nil && sources[$0.job.id] == nil }
            }
        }
        return living.compactMap { depths[$0.job.id] }.max() ?? 0
    }

    /// The jobs that have not ended among those that a job needs.
    private func livingSources(of job: StoredJob) async throws -> [StoredJob] {
        let ids = Set(
            try await store.inputs(of: job.job.id).compactMap { InputSource($0.source).job }
                + (try await store.predecessors(of: job.job.id))
        )
        var found: [StoredJob] = []
        for id in ids {
            do {
                let source = try await store.job(id)
                if !source.job.state.isTerminal { found.append(source) }
            } catch let error as StoreError where [.notFound, .corrupt].contains(error.code) {
                // Of one that is gone or cannot be read, nobody knows that it lives.
                continue
            }
        }
        return found
    }
}
