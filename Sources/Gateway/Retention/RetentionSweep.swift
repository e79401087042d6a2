internal import Foundation
internal import Jobs
internal import Protocol

/// Does away with what is over and old, by the rules of ``Retention``: one round, in small portions.
struct RetentionSweep: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let logs: JobLogStore
    let policy: RetentionPolicy

    private var store: any JobStore { engine.store }
    var collector: ArtifactCollector { ArtifactCollector(store: store, artifacts: artifacts) }
    /// Jobs that one page of a round has.
    private static let page = 64

    /// What a round did away with.
    struct Tally: Sendable, Equatable, CustomStringConvertible {
        var jobs = 0
        var events = 0
        var logs = 0
        var logBytes: UInt64 = 0
        var checkpoints = 0
        var artifacts = 0
        var artifactBytes: UInt64 = 0

        var isEmpty: Bool { self == Tally() }

        var description: String {
            """
            \(jobs) jobs, \(events) events of others, \(logs) logs (\(logBytes) bytes), \
            \(checkpoints) checkpoints, \(artifacts) artifacts (\(artifactBytes) bytes)
            """
        }
    }

    private var rules: Retention { Retention(policy: policy, now: engine.now.unix) }

    /// Openings of artifacts that end at this moment.
    var expiry: GrantExpiry { GrantExpiry(before: rules.cutoff(policy.uploads)) }

    /// One round.
    func run() async throws -> Tally {
        var tally = Tally()
        try await trimHistories(&tally)
        try await forgetCheckpoints(&tally)
        try await removeJobs(&tally)
        try await removeLogs(&tally)
        _ = try await store.forgetKeys(before: rules.cutoff(policy.keys), limit: 1000)
        try await makeRoom(&tally)
        _ = try artifacts.removeDamaged(
            before: Date(timeIntervalSince1970: Double(rules.cutoff(policy.jobs)) / 1000)
        )
        return tally
    }

    /// Calls `body` for jobs that ended at a time or before, from the one that ended first, until it
    /// says that there is no more to do.
    private func forEach(
        _ which: EndedJobs,
        by time: Int64,
        _ body: (StoredJob) async throws -> Bool
    ) async throws {
        var last: StoredJob?
        while true {
            let page = try await store.ended(which, by: time, after: last, limit: Self.page)
            for stored in page {
                try Task.checkCancellation()
                guard try await body(stored) else { return }
                last = stored
                try await Task.sleep(for: .milliseconds(1))
            }
            // A page may be short of rows that cannot be read.
            guard !page.isEmpty else { return }
        }
    }

    private func trimHistories(_ tally: inout Tally) async throws {
        var count = 0
        try await forEach(.untrimmed, by: rules.cutoff(policy.events)) { stored in
            count += try await engine.trim(stored)
            return true
        }
        tally.events += count
    }

    private func forgetCheckpoints(_ tally: inout Tally) async throws {
        var count = 0
        var collected: [ArtifactCollector.Collected] = []
        try await forEach(.withCheckpoint, by: rules.cutoff(policy.checkpoints)) { stored in
            // Somebody may have retried it.
            guard let digests = try await engine.forgetCheckpoint(of: stored.job.id) else {
                return true
            }
            count += 1
            collected += try await collector.collect(digests, expiry)
            return true
        }
        tally.checkpoints += count
        tally.add(collected)
    }

    /// The old ones, then the ones that ended first while there are too many.
    private func removeJobs(_ tally: inout Tally) async throws {
        var excess = try await store.endedCount() - policy.endedJobs
        let cutoff = rules.cutoff(policy.jobs)
        var removed = Tally()
        try await forEach(.all, by: excess > 0 ? engine.now.unix : cutoff) { stored in
            guard excess > 0 || stored.job.finished ?? .max <= cutoff else { return false }
            if try await remove(stored.job.id, &removed) { excess -= 1 }
            return true
        }
        tally.add(removed)
    }

    /// Removes a job unless it is needed.
    private func remove(_ id: String, _ tally: inout Tally) async throws -> Bool {
        do {
            let removal = JobRemoval(engine: engine, artifacts: artifacts, logs: logs)
            let (collected, logBytes) = try await removal.remove(id, expiry)
            tally.jobs += 1
            tally.logs += logBytes > 0 ? 1 : 0
            tally.logBytes += logBytes
            tally.add(collected)
            return true
        } catch let error as StoreError
            where [.invalidState, .notFound, .busy].contains(error.code)
        {
            // Needed, retried, or removed by somebody else: the next round looks again.
            return false
        }
    }

    private func removeLogs(_ tally: inout Tally) async throws {
        var known: [Retention.Log] = []
        for log in try logs.all() {
            try Task.checkCancellation()
            do {
                let job = try await store.job(log.job).job
                known.append(
                    Retention.Log(
                        job: log.job,
                        bytes: Int64(clamping: log.bytes),
                        finished: job.state.isTerminal ? job.finished : nil
                    )
                )
            } catch let error as StoreError where error.code == .notFound {
                // Of a job that was removed while the gateway died.
                tally.logBytes += try logs.remove(log.job)
                tally.logs += 1
            }
        }
        for log in rules.expired(known) {
            tally.logBytes += try logs.remove(log.job)
            tally.logs += 1
        }
    }

    /// Removes what nobody refers to, then, while there is too much still, jobs that ended long enough
    /// ago, the ones that ended first before the others.
    private func makeRoom(_ tally: inout Tally) async throws {
        var collected: [ArtifactCollector.Collected] = []
        var left = try await collector.sweep(expiry) { collected.append($0) }
        tally.add(collected)
        let limit = policy.artifactBytes.map { UInt64(clamping: $0) } ?? .max
        guard left > limit else { return }
        var removed = Tally()
        try await forEach(.all, by: rules.cutoff(policy.uploads)) { stored in
            guard left > limit, rules.mayMakeRoom(stored.job) else { return false }
            let before = removed.artifactBytes
            _ = try await remove(stored.job.id, &removed)
            left -= min(left, removed.artifactBytes - before)
            return true
        }
        tally.add(removed)
    }
}

extension RetentionSweep.Tally {
    mutating func add(_ collected: [ArtifactCollector.Collected]) {
        artifacts += collected.count
        artifactBytes += collected.reduce(0) { $0 + $1.size }
    }

    mutating func add(_ other: Self) {
        jobs += other.jobs
        events += other.events
        logs += other.logs
        logBytes += other.logBytes
        checkpoints += other.checkpoints
        artifacts += other.artifacts
        artifactBytes += other.artifactBytes
    }
}
