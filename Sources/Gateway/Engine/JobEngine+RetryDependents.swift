internal import Jobs

/// What came of a retry.
struct RetryOutcome: Sendable, Equatable {
    /// Whether the job itself was put back; otherwise it needed nothing.
    var isJobRetried = false
    /// Dependents that were put back.
    var dependents = 0
    /// Dependents that stay as they are, because their owner's quota of waiting jobs is reached.
    var left = 0
}

/// Dependents whose retry is under way.
struct RetryWave: Sendable {
    let owner: String
    let user: String
    var outcome = RetryOutcome()
    /// Whether the quota was reached: from then on they are counted only.
    var isFull = false
    /// How those would stand that are counted only.
    var overlay = JobEngine.Overlay()
}

extension JobEngine {
    /// Dependents that one commit puts back.
    private static let portion = 256
    /// So often a portion is tried whose jobs others change meanwhile, before it is halved.
    private static let portionTries = 4

    /// Retries the jobs that ended because of one, then those that ended because of these.
    func retryDependents(of id: String, _ wave: inout RetryWave) async throws {
        var sources = [id]
        while !sources.isEmpty {
            var next: [String] = []
            var portion: [String] = []
            for source in sources {
                try await forEachDependent(of: source, in: [.failed]) { dependent in
                    guard dependent.owner == wave.owner, dependent.job.reason.isDependency,
                        // It may wait for several of them.
                        !portion.contains(dependent.job.id)
                    else { return }
                    portion.append(dependent.job.id)
                    guard portion.count >= Self.portion else { return }
                    next += try await retry(portion[...], &wave)
                    portion = []
                }
            }
            next += try await retry(portion[...], &wave)
            sources = next
        }
    }

    /// Retries some dependents in one commit, or as many of the first of them as the quota allows.
    ///
    /// - Returns: Those whose dependents are next: what is put back, or would be but for the quota.
    private func retry(
        _ ids: ArraySlice<String>,
        _ wave: inout RetryWave
    ) async throws -> [String] {
        guard !ids.isEmpty else { return [] }
        if wave.isFull { return try await count(ids, &wave) }
        for _ in 0..<Self.portionTries {
            let (batch, decisions) = try await plan(ids, wave)
            guard !decisions.isEmpty else { return [] }
            switch try await commit(batch, decisions) {
            case .committed:
                for decision in decisions { note(decision) }
                wave.outcome.dependents += decisions.count
                return decisions.map(\.job.id)
            case .overQuota where decisions.count == 1:
                wave.isFull = true
                return try await count(ids, &wave)
            case .overQuota:
                return try await retryHalves(ids, &wave)
            default:
                // Somebody changed one of them, or what it waits for: they are looked at again.
                continue
            }
        }
        guard ids.count > 1 else {
            throw StoreError(
                .busy,
                "job \(ids.first ?? "") is being changed by too many callers; try again"
            )
        }
        return try await retryHalves(ids, &wave)
    }

    private func retryHalves(
        _ ids: ArraySlice<String>,
        _ wave: inout RetryWave
    ) async throws -> [String] {
        let middle = ids.startIndex + ids.count / 2
        let first = try await retry(ids[..<middle], &wave)
        return first + (try await retry(ids[middle...], &wave))
    }

    /// What becomes of some dependents together; one that another failure still holds back is not among
    /// them: it is retried with that one.
    private func plan(
        _ ids: ArraySlice<String>,
        _ wave: RetryWave
    ) async throws -> (batch: JobBatch, decisions: [Decision]) {
        var batch = JobBatch()
        var decisions: [Decision] = []
        var overlay = wave.overlay
        // Most of them rest on the same few jobs: each state that was read is compared once in the commit.
        var known: Set<String> = []
        for id in ids {
            guard let (decision, inputs) = try await again(id, wave.user, overlay) else { continue }
            batch.tell(decision)
            batch.changes.append(JobBatch.Change(job: decision.job, files: inputs.files))
            batch.conditions += inputs.conditions.filter {
                known.insert("\($0.id) \($0.state.rawValue)").inserted
            }
            overlay.states[id] = decision.job.state
            decisions.append(decision)
        }
        batch.ceilings = ceilings(of: wave.owner, for: decisions.count { $0.job.state.isWaiting })
        return (batch, decisions)
    }

    /// Counts dependents that the quota keeps from being retried.
    private func count(
        _ ids: ArraySlice<String>,
        _ wave: inout RetryWave
    ) async throws -> [String] {
        var counted: [String] = []
        for id in ids where wave.overlay.states[id] == nil {
            guard let (decision, _) = try await again(id, wave.user, wave.overlay) else { continue }
            wave.overlay.states[id] = decision.job.state
            counted.append(id)
        }
        wave.outcome.left += counted.count
        return counted
    }

    /// The retry of a dependent, if nothing else holds it back, nobody was faster and it is there still.
    private func again(
        _ id: String,
        _ user: String,
        _ overlay: Overlay
    ) async throws -> (Decision, SettledInputs)? {
        do {
            let stored = try await store.job(id)
            let inputs = try await settledInputs(of: id, overlay: overlay)
            guard inputs.verdict.mayStart else { return nil }
            let decision = decide(.retried(by: user, inputs: inputs.verdict), stored.job)
            return decision.isChange ? (decision, inputs) : nil
        } catch let error as StoreError where [.notFound, .corrupt].contains(error.code) {
            remarks.tell(error.message)
            return nil
        }
    }
}
