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
    var collector: ArtifactCollector { ArtifactCollector(engine: engine, artifacts: artifacts) }
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
        /// Damaged files that had been set aside.
        var damaged = 0
        /// Jobs that went before their time, by owner: who had more than their share (``FairShare``).
        var early: [String: Early] = [:]
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
            \(checkpoints) checkpoints, \(artifacts) artifacts (\(artifactBytes) bytes), \(damaged) damaged files
            """
        }

        /// What went of an owner before its time.
        struct Early: Sendable, Equatable {
            var jobs = 0
            /// The first job and the last.
            var first = ""
            var last = ""
        }

        /// A line for each owner of whom something went before its time.
        var notes: [String] {
            early.sorted { $0.key < $1.key }.map { owner, early in
                """
                \(PlainText.quoted(owner)) has more than a fair share of --max-jobs or --max-artifacts: \
                \(early.jobs) jobs went before --keep-jobs, \(early.first) to \(early.last)
                """
            }
        }

        mutating func addEarly(_ count: Int, from job: String, of owner: String) {
            var early = early[owner] ?? Early(first: job)
            early.jobs += count
            early.last = job
            self.early[owner] = early
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
        try await attempt("keys", &tally) { _ in
            _ = try await store.forgetKeys(before: rules.cutoff(policy.keys), limit: 1000)
        }
        // What goes with its artifacts stays while these are not there, or cannot go.
        do {
            try artifacts.requireUse()
        } catch {
            tally.faults.append("artifacts: \(StoreError.sentence(of: error))")
            return
        }
        try await attempt("checkpoints", &tally, forgetCheckpoints)
        try await attempt("jobs", &tally, removeJobs)
        try await attempt("logs", &tally, removeLogs)
        try await attempt("artifacts", &tally, makeRoom)
        try await attempt("damaged artifacts", &tally) {
            let time = Date(timeIntervalSince1970: Double(rules.cutoff(policy.jobs)) / 1000)
            $0.damaged += try artifacts.removeDamaged(before: time)
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
            try await attempt("job \(stored.job.id)", &tally) { tally in
                tally.events += try await engine.trim(stored, keeping: policy.jobEvents)
            }
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

    /// The old ones, then, while there are too many, of those owners who have more than their share the ones
    /// that ended first.
    private func removeJobs(_ tally: inout Tally) async throws {
        var excess = FairShare.excess(
            of: try await store.endedCounts(),
            above: Int64(policy.endedJobs)
        )
        let cutoff = rules.cutoff(policy.jobs)
        let present = engine.now.unix
        var pipelines: Set<String> = []
        try await forEach(.all, by: excess.isEmpty ? cutoff : present, &tally) { stored, tally in
            let owner = stored.owner
            let isOver = excess[owner] != nil
            guard isOver || stored.job.finished ?? .max <= cutoff else { return !excess.isEmpty }
            let time = isOver ? present : cutoff
            let gone = try await remove(stored, endedBy: time, &pipelines, &tally)
            excess.take(Int64(gone?.jobs ?? 0), from: owner)
            return true
        }
    }

    /// What went with a job, or with the pipeline that it is of.
    private struct Removed {
        let jobs: Int
        let artifactBytes: UInt64
        /// How many files were to go that the disk did not let go of.
        let stuckCount: Int
    }

    /// Removes a job unless it is needed; of a pipeline all jobs, or none.
    ///
    /// `time`: When a pipeline's last job must have ended. `pipelines`: Those that were looked at.
    ///
    /// - Returns: What went; nil if all of it stays, which is the job's own affair and no reason to look at no
    ///   other.
    private func remove(
        _ stored: StoredJob,
        endedBy time: Int64,
        _ pipelines: inout Set<String>,
        _ tally: inout Tally
    ) async throws -> Removed? {
        let removal = JobRemoval(engine: engine, artifacts: artifacts, logs: logs)
        var count = 1
        do {
            let gone: JobRemoval.Gone
            if let pipeline = stored.place?.pipeline {
                guard pipelines.insert(pipeline).inserted else { return nil }
                let parts = try await store.parts(of: pipeline)
                // Of a row that cannot be read, nobody knows that it is over.
                guard parts.unreadable.isEmpty,
                    parts.jobs.allSatisfy({ $0.job.state.isTerminal }),
                    parts.jobs.allSatisfy({ $0.job.finished ?? .max <= time })
                else { return nil }
                count = parts.jobs.count
                gone = try await removal.removePipeline(pipeline, expiry)
            } else {
                gone = try await removal.remove(stored.job.id, expiry)
            }
            tally.jobs += count
            if stored.job.finished ?? .max > rules.cutoff(policy.jobs) {
                tally.addEarly(count, from: stored.job.id, of: stored.owner)
            }
            tally.logs += gone.logBytes > 0 ? 1 : 0
            tally.logBytes += gone.logBytes
            tally.add(gone.artifacts)
            return Removed(
                jobs: count,
                artifactBytes: gone.artifacts.reduce(0) { $0 + $1.size },
                stuckCount: gone.stuckCount
            )
        } catch let error as StoreError
            where [.invalidState, .notFound, .busy].contains(error.code)
        {
            // Needed, retried, or removed by somebody else: the next round looks again.
            return nil
        }
    }

    private func removeLogs(_ tally: inout Tally) async throws {
        var known: [Retention.Log] = []
        for log in try logs.all() {
            try Task.checkCancellation()
            try await attempt("log of job \(log.job)", &tally) { tally in
                if let fact = try await fact(of: log) { return known.append(fact) }
                // Of a job that was removed while the gateway died.
                tally.logBytes += try logs.remove(log.job)
                tally.logs += 1
            }
        }
        for log in rules.expired(known) {
            try await attempt("log of job \(log.job)", &tally) { tally in
                tally.logBytes += try logs.remove(log.job)
                tally.logs += 1
            }
        }
    }

    /// Removes what nobody refers to, then, while there is too much still, jobs that ended long enough
    /// ago of those who hold more than their share, the ones that ended first before the others.
    ///
    /// It may be that this is not enough: what fills the store may be in use, or too new to go.
    private func makeRoom(_ tally: inout Tally) async throws {
        var collected: [ArtifactCollector.Collected] = []
        var left = try await collector.sweep(expiry) { collected.append($0) }
        tally.add(collected)
        let limit = policy.artifactBytes.map { UInt64(clamping: $0) } ?? .max
        guard left > limit else { return }
        let cutoff = rules.cutoff(policy.uploads)
        var pipelines: Set<String> = []
        // What is open to several counts for each; together they have to let go of what is too much.
        let held = try await store.heldBytes().filter { Grant.isUser($0.key) }
        let all = held.values.reduce(0, +)
        var excess = FairShare.excess(
            of: held,
            above: max(0, all - Int64(clamping: left - limit))
        )
        try await forEach(.all, by: cutoff, &tally) { stored, tally in
            guard left > limit, !excess.isEmpty, rules.mayMakeRoom(stored.job) else { return false }
            let holder = Grant.holder(user: stored.owner)
            // Jobs that go while a backup keeps what they have make no room; the next round has its turn.
            guard try collector.isFree() else { return false }
            // One that lets go of nothing is no help.
            guard excess[holder] != nil, try await frees(stored),
                let gone = try await remove(stored, endedBy: cutoff, &pipelines, &tally)
            else { return true }
            // A disk that takes nothing away: each further job would go for nothing.
            guard gone.artifactBytes > 0 || gone.stuckCount == 0 else {
                tally.faults.append(
                    """
                    artifacts: job \(stored.job.id) went, and no file could that it held alone \
                    (\(gone.stuckCount)): no other goes for room
                    """
                )
                return false
            }
            left -= min(left, gone.artifactBytes)
            excess.take(Int64(clamping: gone.artifactBytes), from: holder)
            return true
        }
    }
}

extension RetentionSweep {
    /// What a log's age and share are counted by; nil of a job that there is not.
    private func fact(of log: (job: String, bytes: UInt64)) async throws -> Retention.Log? {
        var fact = Retention.Log(
            job: log.job,
            owner: "",
            bytes: Int64(clamping: log.bytes),
            finished: nil
        )
        do {
            let stored = try await store.job(log.job)
            fact.owner = stored.owner
            fact.finished = stored.job.state.isTerminal ? stored.job.finished : nil
        } catch let error as StoreError where error.code == .notFound {
            return nil
        } catch let error as StoreError where error.code == .corrupt {
            // Of a row that cannot be read, nobody knows that it is over: its log stays.
        }
        return fact
    }

    /// Whether any file is free once a job, or the pipeline that it is of, is gone: one that is missing, or was
    /// set aside as damaged, makes no room.
    private func frees(_ stored: StoredJob) async throws -> Bool {
        var jobs = [stored.job.id]
        if let pipeline = stored.place?.pipeline {
            jobs = try await store.parts(of: pipeline).jobs.map(\.job.id)
        }
        return try await store.digests(freedBy: jobs, expiry)
            .contains { artifacts.fileSize($0) ?? 0 > 0 }
    }
}

extension [String: Int64] {
    /// Counts something off an owner's excess, which ends with it.
    fileprivate mutating func take(_ amount: Int64, from owner: String) {
        guard let left = self[owner] else { return }
        self[owner] = left > amount ? left - amount : nil
    }
}

extension RetentionSweep.Tally {
    mutating func add(_ collected: [ArtifactCollector.Collected]) {
        artifacts += collected.count
        artifactBytes += collected.reduce(0) { $0 + $1.size }
    }
}
