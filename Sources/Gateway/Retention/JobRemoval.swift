internal import Jobs
internal import Protocol

/// Removes jobs with their logs, and the artifacts that nobody else refers to.
struct JobRemoval: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let logs: JobLogStore

    /// Removes a job that is over.
    ///
    /// - Returns: The artifacts that went with it, and the bytes of its log.
    /// - Throws: ``StoreError`` (`notFound`; `invalidState` if it is not over or needed).
    func remove(
        _ id: String,
        _ expiry: GrantExpiry
    ) async throws -> (artifacts: [ArtifactCollector.Collected], logBytes: UInt64) {
        try await collect([id], try await engine.remove(id), expiry)
    }

    /// The same of all jobs of a pipeline, or none.
    func removePipeline(
        _ id: String,
        _ expiry: GrantExpiry
    ) async throws -> (artifacts: [ArtifactCollector.Collected], logBytes: UInt64) {
        let (jobs, digests) = try await engine.removePipeline(id)
        return try await collect(jobs, digests, expiry)
    }

    private func collect(
        _ jobs: [String],
        _ digests: Set<SHA256Digest>,
        _ expiry: GrantExpiry
    ) async throws -> (artifacts: [ArtifactCollector.Collected], logBytes: UInt64) {
        let bytes = try jobs.reduce(UInt64(0)) { try $0 + logs.remove($1) }
        let collector = ArtifactCollector(store: engine.store, artifacts: artifacts)
        return (try await collector.collect(digests, expiry), bytes)
    }
}
