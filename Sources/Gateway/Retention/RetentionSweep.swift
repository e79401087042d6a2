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
        /// What could not be done; the rest was.
        var faults: [String] = []

        var isEmpty: Bool {
            var removed = self
            removed.faults = []
            return removed == Tally()
        }

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

    /// One round; what fails in it keeps nothing else.
    ///
    /// - Throws: `CancellationError` only.
    func run() async throws -> Tally {
        var tally = Tally()
        try await run(&tally)
        return tally
    }

    /// The same; `tally` has what was done when it throws, too.
    func run(_ tally: inout Tally) async throws {
        try await attempt("histories", &tally, trimHistories)
        try await attempt("checkpoints", &tally, forgetCheckpoints)
        try await attempt("jobs", &tally, removeJobs)
        try await attempt("logs", &tally, removeLogs)
        try await attempt("keys", &tally) { _ in
            _ = try await store.forgetKeys(before: rules.cutoff(policy.keys), limit: 1000)
        }
        try await attempt("artifacts", &tally, makeRoom)
        try await attempt("damaged artifacts", &tally) { _ in
            _ = try artifacts.removeDamaged(
                before: Date(timeIntervalSince1970: Double(rules.cutoff(policy.jobs)) / 1000)
            )
        }
    }

    private func attempt(
        _ what: String,
        _ tally: inout Tally,
        _ body: (inout Tally) async throws -> Void
    ) async throws {
        do {
            try await body(&tally)
        } catch let error as CancellationError {
            throw error
        } catch {
            tally.faults.append("\(what): \(StoreError.sentence(of: error))")
        }
    }

    /// Calls `body` for jobs that ended at a time or before, from the one that ended first, until it
    /// says that there is no more to do.
    ///
    /// A job that cannot be dealt with, or read, keeps no other from its turn.
    private func forEach(
        _ which: EndedJobs,
        by time: Int64,
        _ tally: inout Tally,
        _ body: (StoredJob, inout Tally) async throws -> Bool
    ) async throws {
        var place: EndedPlace?
        repeat {
            let page = try await store.ended(which, by: time, after: place, limit: Self.page)
            for stored in page.jobs {
                try Task.checkCancellation()
                var goesOn = true
                try await attempt("job \(stored.job.id)", &tally) { tally in
                    goesOn = try await body(stored, &tally)
                }
                guard goesOn else { return }
                try await Task.sleep(for: .milliseconds(1))
            }
            place = page.next
        } while place != nil
    }

    /// Of jobs that are over, all details that are old; of the others, the oldest above a number.
    private func trimHistories(_ tally: inout Tally) async throws {
        try await engine.forEach(in: JobState.living) { stored in
            try Task.checkCancellation()
            tally.events += try await engine.trim(stored, keeping: policy.jobEvents)
        }
        try await forEach(.untrimmed, by: rules.cutoff(policy.events), &tally) { stored, tally in
            tally.events += try await engine.trim(stored)
            return true
        }
    }

    private func forgetCheckpoints(_ tally: inout Tally) async throws {
        let cutoff = rules.cutoff(policy.checkpoints)
        try await forEach(.withCheckpoint, by: cutoff, &tally) { stored, tally in
            // Somebody may have retried it.
            guard let digests = try await engine.forgetCheckpoint(of: stored.job.id) else {
                return true
            }
            tally.checkpoints += 1
            tally.add(try await collector.collect(digests, expiry))
            return true
        }
    }

    /// The old ones, then the ones that ended first while there are too many.
    private func removeJobs(_ tally: inout Tally) async throws {
        var excess = try await store.endedCount() - policy.endedJobs
        let cutoff = rules.cutoff(policy.jobs)
        let present = engine.now.unix
        var pipelines: Set<String> = []
        try await forEach(.all, by: excess > 0 ? present : cutoff, &tally) { stored, tally in
            guard excess > 0 || stored.job.finished ?? .max <= cutoff else { return false }
            let time = excess > 0 ? present : cutoff
            excess -= try await remove(stored, endedBy: time, &pipelines, &tally)
            return true
        }
    }

    /// Removes a job unless it is needed; of a pipeline all jobs, or none.
    ///
    /// `time`: When a pipeline's last job must have ended. `pipelines`: Those that were looked at.
    ///
    /// - Returns: How many jobs went.
    private func remove(
        _ stored: StoredJob,
        endedBy time: Int64,
        _ pipelines: inout Set<String>,
        _ tally: inout Tally
    ) async throws -> Int {
        let removal = JobRemoval(engine: engine, artifacts: artifacts, logs: logs)
        var count = 1
        do {
            let gone: JobRemoval.Gone
            if let pipeline = stored.place?.pipeline {
                guard pipelines.insert(pipeline).inserted else { return 0 }
                let parts = try await store.parts(of: pipeline)
                // Of a row that cannot be read, nobody knows that it is over.
                guard parts.unreadable.isEmpty,
                    parts.jobs.allSatisfy({ $0.job.state.isTerminal }),
                    parts.jobs.allSatisfy({ $0.job.finished ?? .max <= time })
                else { return 0 }
                count = parts.jobs.count
                gone = try await removal.removePipeline(pipeline, expiry)
            } else {
                gone = try await removal.remove(stored.job.id, expiry)
            }
            tally.jobs += count
            tally.logs += gone.logBytes > 0 ? 1 : 0
            tally.logBytes += gone.logBytes
            tally.add(gone.artifacts)
            return count
        } catch let error as StoreError
            where [.invalidState, .notFound, .busy].contains(error.code)
        {
            // Needed, retried, or removed by somebody else: the next round looks again.
            return 0
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
            } catch let error as StoreError where error.code == .corrupt {
                // Of a row that cannot be read, nobody knows that it is over: its log stays.
                known.append(
                    Retention.Log(job: log.job, bytes: Int64(clamping: log.bytes), finished: nil)
                )
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
        let cutoff = rules.cutoff(policy.uploads)
        var pipelines: Set<String> = []
        try await forEach(.all, by: cutoff, &tally) { stored, tally in
            guard left > limit, rules.mayMakeRoom(stored.job) else { return false }
            let before = tally.artifactBytes
            _ = try await remove(stored, endedBy: cutoff, &pipelines, &tally)
            left -= min(left, tally.artifactBytes - before)
            return true
        }
    }
}

extension RetentionSweep.Tally {
    mutating func add(_ collected: [ArtifactCollector.Collected]) {
        artifacts += collected.count
        artifactBytes += collected.reduce(0) { $0 + $1.size }
    }
}
