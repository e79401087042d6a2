internal import Jobs
internal import Protocol

/// Removes jobs with their logs, and the artifacts that nobody else refers to.
struct JobRemoval: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let logs: JobLogStore

    /// What became of what a job had.
    struct Gone: Sendable {
        /// The artifacts that went with it.
        let artifacts: [ArtifactCollector.Collected]
        /// Bytes of its log.
        let logBytes: UInt64
        /// The artifacts that it referred to and that stay.
        let kept: Set<SHA256Digest>
        /// How many of its artifacts nobody refers to any more and the disk did not let go of.
        let stuckCount: Int
    }

    /// Removes a job that is over.
    ///
    /// - Throws: ``StoreError`` (`notFound`; `invalidState` if it is not over or needed).
    func remove(
        _ id: String,
        _ expiry: GrantExpiry
    ) async throws -> Gone {
        await collect([id], try await engine.remove(id), expiry)
    }

    /// The same of all jobs of a pipeline, or none.
    func removePipeline(
        _ id: String,
        _ expiry: GrantExpiry
    ) async throws -> Gone {
        let (jobs, digests) = try await engine.removePipeline(id)
        return await collect(jobs, digests, expiry)
    }

    /// Removes what jobs had that are gone already: what cannot go now is found by the next round, and is no
    /// failure of their removal.
    private func collect(
        _ jobs: [String],
        _ digests: Set<SHA256Digest>,
        _ expiry: GrantExpiry
    ) async -> Gone {
        var bytes: UInt64 = 0
        for job in jobs {
            bytes += await engine.afterwards("the log of job \(job)") { try logs.remove(job) } ?? 0
        }
        let collector = ArtifactCollector(engine: engine, artifacts: artifacts)
        let collected =
            await engine.afterwards("artifacts of removed jobs") {
                try await collector.collection(of: digests, expiry)
            } ?? ArtifactCollector.Collection()
        return Gone(
            artifacts: collected.gone,
            logBytes: bytes,
            kept: digests.subtracting(collected.gone.map(\.digest)),
            stuckCount: collected.stuckCount
        )
    }
}
