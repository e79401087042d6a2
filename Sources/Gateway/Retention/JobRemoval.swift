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
        let digests = try await engine.remove(id)
        let bytes = try logs.remove(id)
        let collector = ArtifactCollector(store: engine.store, artifacts: artifacts)
        return (try await collector.collect(digests, expiry), bytes)
    }
}
