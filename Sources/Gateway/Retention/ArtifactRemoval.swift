internal import Jobs
internal import Protocol

/// Gives artifacts up for a user: their own uploads; everybody's for an operator.
struct ArtifactRemoval: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let policy: RetentionPolicy
    let user: User

    private static let requestLimit = 256

    private var store: any JobStore { engine.store }
    private var collector: ArtifactCollector {
        ArtifactCollector(engine: engine, artifacts: artifacts)
    }
    /// Whose openings end; nil for everybody's.
    private var holder: String? { user.isOperator ? nil : Grant.holder(user: user.name) }

    /// Gives some artifacts up.
    ///
    /// One that a job refers to stays, whether the job is over or not: a job's results and what it can be
    /// retried from go with the job.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) for too many at once.
    func remove(_ digests: [SHA256Digest]) async throws -> [RemovedBlob] {
        guard digests.count <= Self.requestLimit else {
            throw StoreError(
                .invalidArgument,
                "\(digests.count) digests; the limit is \(Self.requestLimit) at once"
            )
        }
        var blobs: [RemovedBlob] = []
        for digest in digests { blobs.append(try await remove(digest)) }
        return blobs
    }

    private func remove(_ digest: SHA256Digest) async throws -> RemovedBlob {
        guard try await isOpen(digest) else {
            // Neither whether it is there nor how large it is.
            return RemovedBlob(
                digest: digest,
                outcome: .refused,
                message: "no artifact sha256:\(digest.hex)"
            )
        }
        var blob = RemovedBlob(digest: digest, size: artifacts.fileSize(digest) ?? 0)
        if let refusal = try await refusal(of: digest) {
            blob.outcome = .refused
            blob.message = refusal
            return blob
        }
        let gone = try await collector.collect(
            [digest],
            GrantExpiry(before: .max, holder: holder, includesUsed: holder != nil)
        )
        guard gone.isEmpty else { return blob }
        if artifacts.fileSize(digest) == nil { return blob }
        // Another user's, or of a job that was submitted at this moment, or of a backup that runs.
        blob.outcome = user.isOperator ? .refused : .closed
        blob.message =
            user.isOperator
            ? "it is in use at this moment: by an upload, or by a backup"
            : "it is no longer yours; others may have it still"
        return blob
    }

    /// Whether there is an artifact for the user.
    private func isOpen(_ digest: SHA256Digest) async throws -> Bool {
        guard user.isOperator else {
            return !(try await store.granted([digest], to: Grant.holder(user: user.name))).isEmpty
        }
        if artifacts.fileSize(digest) != nil { return true }
        return try await store.references(to: digest, limit: 1).count > 0
    }

    /// Why an artifact stays as it is, or nil.
    private func refusal(of digest: SHA256Digest) async throws -> String? {
        let (jobs, _) = try await store.references(to: digest, limit: 64)
        // Jobs of others are nobody's business, and keep the artifact whatever this user does.
        let shown = jobs.filter { user.isOperator || $0.owner == user.name }
        guard let first = shown.first(where: { !$0.state.isTerminal }) ?? shown.first else {
            return nil
        }
        let advice =
            first.state.isTerminal
            ? "remove the job (qat-client jobs rm)" : "wait for its end, or cancel it"
        return "job \(first.job), which is \(first.state.rawValue), refers to it; \(advice)"
    }

    /// Removes what nobody refers to, or tells what that would be.
    func collectGarbage(
        _ request: CollectGarbageRequest,
        _ tell: (CollectedBlob) async throws -> Void
    ) async throws {
        var age = policy.uploads
        if let seconds = request.olderThanSeconds {
            guard seconds >= 0, seconds <= 100 * 366 * 86_400 else {
                throw StoreError(.invalidArgument, "an age of \(seconds) s is none")
            }
            // What others brought a moment ago they may be about to use.
            age = user.isOperator ? max(age, seconds * 1000) : seconds * 1000
        }
        // An age of 0 includes this very millisecond.
        let expiry = GrantExpiry(before: engine.now.unix - age + 1, holder: holder)
        let told: (ArtifactCollector.Collected) async throws -> Void = {
            try await tell(CollectedBlob(digest: $0.digest, size: $0.size))
        }
        if user.isOperator {
            _ = try await collector.sweep(expiry, isDryRun: request.dryRun, onRemoval: told)
        } else {
            try await collector.expire(expiry, request.dryRun, told)
        }
    }
}
