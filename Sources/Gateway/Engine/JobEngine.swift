internal import Foundation
internal import Jobs
internal import Protocol
internal import Synchronization

/// Carries out what the rules of ``JobLifecycle`` decide: reads a job, has the rules decide, stores
/// the decision if the job is still the one that was read, and wakes whoever waits for it.
///
/// Whoever waits for a change subscribes to ``hub``: the topic of a job is its id, that of waiting
/// workers ``queueTopic``.
final class JobEngine: Sendable {
    static let queueTopic = "queue"

    let store: any JobStore
    let lifecycle: JobLifecycle
    let limits: JobLimits
    let policies: PolicyFile
    let rules: SubmissionRules
    let reportRules: ReportRules
    let hub = EventHub()
    let leases = LeaseTable()
    let delays = DelayTable()
    let memoryNeeds = MemoryNeeds()
    let deadlines = DeadlineTable()
    let presence: WorkerPresence
    let figures = EngineFigures()
    /// Ended jobs whose dependents were not all looked at yet.
    let unsettled = Mutex<Set<String>>([])
    /// Why queued jobs could not be handed out, by their ids: something that is stored of them cannot be read.
    let faults = Mutex<[String: String]>([:])
    let remarks: Remarks
    /// Why the artifacts cannot be read and written, in words that follow "the artifacts"; while there is a
    /// reason no job is handed out.
    let artifactObstacle: @Sendable () -> String?
    /// What it was when that was last looked at.
    private let knownObstacle = Mutex<String?>(nil)
    private let clock: @Sendable () -> Moment

    /// An engine on a store.
    ///
    /// `leaseDuration`: How long a lease lasts without a heartbeat. `policies`: What users may have.
    /// `artifactObstacle`: Why the artifacts cannot be used, if so. `clock`: Tests bring their own. `report`:
    /// Gets what is wrong with what is stored.
    init(
        store: any JobStore,
        leaseDuration: Duration,
        limits: JobLimits = JobLimits(),
        policies: PolicyFile = PolicyFile(AccessPolicy()),
        artifactObstacle: @escaping @Sendable () -> String? = { nil },
        clock: @escaping @Sendable () -> Moment = { Moment.now },
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.store = store
        self.limits = limits
        self.policies = policies
        rules = SubmissionRules(limits: limits)
        reportRules = ReportRules(limits: limits)
        remarks = Remarks(report)
        self.artifactObstacle = artifactObstacle
        self.clock = clock
        lifecycle = JobLifecycle(leaseDuration: Int64(leaseDuration / .milliseconds(1)))
        presence = WorkerPresence(grace: lifecycle.leaseDuration)
        // Whoever waits for something may not have it any more.
        policies.whenChanged { [hub] in hub.signalAll() }
    }

    var now: Moment { clock() }

    /// Whether the artifacts can be used.
    var hasArtifacts: Bool { artifactObstacle() == nil }

    /// What became of the artifacts.
    enum ArtifactChange: Equatable {
        case back
        case obstacle(String)
    }

    /// Looks whether the artifacts can be used; workers that wait for a job look again when they are back.
    ///
    /// - Returns: What changed since the last look, if anything did.
    func lookForArtifacts() -> ArtifactChange? {
        let obstacle = artifactObstacle()
        let isChange = knownObstacle.withLock { known in
            defer { known = obstacle }
            return known != obstacle
        }
        guard isChange else { return nil }
        guard let obstacle else {
            hub.signal(Self.queueTopic)
            return .back
        }
        return .obstacle(obstacle)
    }

    /// Does what follows from something that is stored: its failure is told to the operator and to nobody else,
    /// since what it follows from stands.
    func afterwards<Value>(
        _ what: String,
        _ body: () async throws -> Value
    ) async -> Value? {
        do {
            return try await body()
        } catch is CancellationError {
            return nil
        } catch {
            remarks.tell("\(what): \(StoreError.sentence(of: error))")
            return nil
        }
    }

    /// Takes up what an earlier process left: its workers, its leases, deadlines, and dependents that it
    /// did not get to.
    ///
    /// After the gateway's own absence every lease lasts a whole duration again, so that workers
    /// get the chance to be heard before anything is taken from them.
    func start() async throws {
        let moment = now
        for worker in try await store.workers() {
            presence.restore(worker, at: moment)
        }
        try await renewLeases()
        try await forEach(in: [.recovering]) { stored in
            try await apply(.leaseEnded("the gateway was restarted"), to: stored.job.id)
        }
        try await settleAllBlocked()
        try await trackDeadlines()
    }

    /// Takes up what rows that are put right again missed while they could not be read.
    func takeUpAgain() async throws {
        try await adoptLeases()
        try await trackDeadlines()
        try await settleAllBlocked()
    }

    /// Calls `body` for every job in some states, from the oldest, a page at a time.
    func forEach(in states: [JobState], _ body: (StoredJob) async throws -> Void) async throws {
        try await forEach({ try await store.jobs(in: states, after: $0, limit: $1) }, body)
    }

    /// Calls `body` for every job of pages, which `read` reads: after a number, so many at most.
    ///
    /// Rows that cannot be read are told of, and keep nobody from the others.
    func forEach(
        _ read: (_ number: Int64, _ limit: Int) async throws -> StoredJobs,
        _ body: (StoredJob) async throws -> Void
    ) async throws {
        var last: Int64? = 0
        while let number = last {
            let page = try await read(number, 256)
            for row in page.unreadable { remarks.tell(row.error.message) }
            for stored in page.jobs {
                try await body(stored)
            }
            last = page.next
        }
    }

    // MARK: Changes

    /// A try to change a job often fails only because somebody else changed it; then again.
    static let attemptLimit = 32

    /// Decides on an occurrence and stores what is decided.
    @discardableResult
    func apply(_ occurrence: Occurrence, to id: String) async throws -> Decision {
        try await change(id) { stored in (decide(occurrence, stored.job), JobBatch()) }
    }

    /// What the rules say now.
    func decide(_ occurrence: Occurrence, _ job: Job) -> Decision {
        lifecycle.decide(occurrence, job, at: now)
    }

    /// Reads a job, lets `body` decide, and stores the decision with what `body` adds to it; over
    /// again if the job was changed in between.
    ///
    /// `body` gets the job as it stands, and adds its change of the job itself only if it carries
    /// more than the job's life.
    func change(
        _ id: String,
        _ body: (StoredJob) async throws -> (Decision, JobBatch)
    ) async throws -> Decision {
        for _ in 0..<Self.attemptLimit {
            let (decision, additions) = try await body(try await store.job(id))
            guard decision.isChange || !additions.isEmpty else {
                note(decision)
                return decision
            }
            var batch = additions
            let own = batch.events
            batch.events = []
            batch.tell(decision)
            batch.events += own
            if batch.changes.isEmpty {
                batch.changes = [JobBatch.Change(job: decision.job)]
            }
            switch try await commit(batch, decision) {
            case .committed: note(decision)
            case .overQuota: throw overQuota(batch.ceilings.first?.owner ?? "")
            default: continue
            }
            if decision.isEnd {
                await settleDependents(of: id)
            }
            return decision
        }
        throw StoreError(.busy, "job \(id) is being changed by too many callers; try again")
    }

    /// Stores a batch with a decision in it.
    ///
    /// If that fails, nobody knows whether it is stored. Memory then holds what would follow if it
    /// were: a lease that nobody may have must run out, dependents of a job that may have ended must be
    /// looked at. If it is not stored, neither does harm.
    func commit(_ batch: JobBatch, _ decisions: Decision...) async throws -> CommitOutcome {
        try await commit(batch, decisions)
    }

    /// The same of several decisions.
    func commit(_ batch: JobBatch, _ decisions: [Decision]) async throws -> CommitOutcome {
        do {
            return try await store.commit(batch)
        } catch {
            for decision in decisions {
                let id = decision.job.id
                if case .lasts(let end) = decision.lease {
                    leases.set(id, epoch: decision.job.epoch, until: end)
                }
                if decision.isEnd {
                    unsettled.withLock { _ = $0.insert(id) }
                }
                // Of a job that is not there nothing comes.
                deadlines.track(id, until: lifecycle.deadlineEnd(of: decision.job, at: now))
                hub.signal(id)
            }
            hub.signal(Self.queueTopic)
            throw error
        }
    }

    /// Makes memory follow a stored decision, and wakes whoever waits for it.
    func note(_ decision: Decision) {
        let id = decision.job.id
        switch decision.lease {
        case .none: break
        case .lasts(let end): leases.set(id, epoch: decision.job.epoch, until: end)
        case .ends: leases.remove(id, epoch: decision.job.epoch)
        }
        deadlines.track(id, until: lifecycle.deadlineEnd(of: decision.job, at: now))
        if decision.delay > 0 {
            delays.set(id, until: now.uptime + decision.delay)
        } else if decision.job.state.isTerminal {
            // Whoever retries it wants it now.
            delays.remove(id)
        }
        if decision.job.state.isTerminal { memoryNeeds.forget(id) }
        if decision.isChange {
            faults.withLock { _ = $0.removeValue(forKey: id) }
            hub.signal(id)
        }
        // A lease that ended may make room in its owner's quota.
        if decision.wakesQueue || decision.isChange && decision.lease == .ends {
            hub.signal(Self.queueTopic)
        }
    }

    // MARK: Users' changes

    /// Ends a job that nobody runs, or asks the one who does to stop.
    ///
    /// - Returns: Whether that changed anything: not of a job that is over, or was asked already.
    @discardableResult
    func cancel(_ id: String, now isNow: Bool, by user: String) async throws -> Bool {
        try Self.isChange(try await apply(.cancelled(now: isNow, by: user), to: id))
    }

    /// Whether a user's wish changed anything.
    ///
    /// - Throws: ``StoreError`` (`invalidState`) if the rules refuse it.
    static func isChange(_ decision: Decision) throws -> Bool {
        try check(decision)
        return decision.isChange
    }

    private static func check(_ decision: Decision) throws {
        if case .refused(let message) = decision.verdict {
            throw StoreError(.invalidState, message)
        }
    }
}

extension Moment {
    /// The present, on the machine's clocks.
    ///
    /// The uptime stands still while the machine sleeps: a lease does not end by it.
    static var now: Moment {
        Moment(
            unix: Int64(Date.now.timeIntervalSince1970 * 1000),
            uptime: Int64(start.duration(to: .now) / .milliseconds(1))
        )
    }

    private static let start = SuspendingClock.now
}
