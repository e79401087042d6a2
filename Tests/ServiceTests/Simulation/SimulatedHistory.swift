internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// What everybody was told, and what must hold of it.
struct SimulatedHistory {
    /// Of the life it is of; failures name it.
    let seed: UInt64
    private var ids: [String: String] = [:]
    private var pipelines: [String: String] = [:]
    private var epochs: [String: UInt64] = [:]
    private var completions: [String: Set<CompleteLeaseRequest.Outcome>] = [:]
    private var checkpoints: [String: (epoch: UInt64, step: UInt64)] = [:]
    private var cancellations: [String: Int64] = [:]
    /// The last event of a job when a user was told that it is held back.
    private var pauses: [String: Int64] = [:]
    private var removals: Set<String> = []
    private var thinnings: Set<String> = []

    /// What docs/JOBS.md says may follow a state.
    private static let table: [String: Set<String>] = [
        "BLOCKED": ["QUEUED", "PAUSED", "SUCCEEDED", "FAILED", "CANCELLED"],
        "QUEUED": ["STARTING", "PAUSED", "FAILED", "CANCELLED"],
        "STARTING": [
            "RUNNING", "PAUSING", "CANCELLING", "RECOVERING", "SUCCEEDED", "FAILED", "CANCELLED",
        ],
        "RUNNING": ["PAUSING", "CANCELLING", "RECOVERING", "SUCCEEDED", "FAILED", "CANCELLED"],
        "PAUSING": ["RUNNING", "PAUSED", "CANCELLING", "RECOVERING", "SUCCEEDED", "FAILED"],
        "PAUSED": ["BLOCKED", "FAILED", "CANCELLED"],
        "CANCELLING": ["RECOVERING", "SUCCEEDED", "FAILED", "CANCELLED"],
        "RECOVERING": ["QUEUED", "PAUSED", "FAILED", "CANCELLED"],
        "SUCCEEDED": [], "FAILED": ["BLOCKED"], "CANCELLED": ["BLOCKED"],
    ]

    init(seed: UInt64) { self.seed = seed }

    func fail(_ message: String) { Issue.record("seed \(seed): \(message)") }

    /// A job goes only when it is over, and nobody who is not needs it.
    mutating func removed(_ job: String, isGone: Bool, mayGo: Bool) {
        guard isGone else { return }
        #expect(mayGo, "seed \(seed): \(job) was removed before its time")
        removals.insert(job)
    }

    /// A job that is over lost the details of its history, and its checkpoint.
    mutating func thinned(_ job: String) {
        thinnings.insert(job)
        checkpoints[job] = nil
    }

    /// A submission is one job, whenever it is answered.
    mutating func acknowledge(key: String, id: String) {
        #expect(!removals.contains(id), "seed \(seed): \(key) is answered with a job that is gone")
        #expect(ids[key, default: id] == id, "seed \(seed): \(key) became two jobs")
        ids[key] = id
    }

    /// So is a pipeline.
    mutating func acknowledge(key: String, pipeline id: String) {
        #expect(pipelines[key, default: id] == id, "seed \(seed): \(key) became two pipelines")
        pipelines[key] = id
    }

    /// Leases of a job are numbered upwards, and carry what was stored.
    mutating func leased(_ lease: Lease, to holder: LeaseHolder) {
        #expect(lease.epoch > epochs[lease.jobID] ?? 0, "seed \(seed): an epoch came twice")
        epochs[lease.jobID] = lease.epoch
        #expect(pauses[lease.jobID] == nil, "seed \(seed): a paused job is leased")
        #expect(
            lease.inputs.allSatisfy { !$0.files.isEmpty },
            "seed \(seed): job \(lease.jobID) is leased without its inputs"
        )
        let stored = checkpoints[lease.jobID]?.step ?? 0
        #expect(
            lease.checkpoint?.step ?? 0 >= stored,
            "seed \(seed): job \(lease.jobID) begins before its checkpoint of step \(stored)"
        )
    }

    /// A checkpoint is about to be stored: that of a younger lease may take an older one's place,
    /// whether anybody learns of it or not.
    mutating func maySave(_ job: String, epoch: UInt64, step: UInt64) {
        guard let known = checkpoints[job], epoch > known.epoch else { return }
        checkpoints[job]?.step = min(known.step, step)
    }

    mutating func saved(_ job: String, epoch: UInt64, step: UInt64) {
        let known = checkpoints[job] ?? (epoch, 0)
        checkpoints[job] = (epoch, epoch > known.epoch ? step : max(step, known.step))
    }

    mutating func mayComplete(
        _ job: String,
        epoch: UInt64,
        _ outcome: CompleteLeaseRequest.Outcome
    ) {
        completions["\(job)/\(epoch)", default: []].insert(outcome)
    }

    mutating func cancelled(_ job: String, after seq: Int64) { cancellations[job] = seq }
    mutating func retried(_ job: String) { cancellations[job] = nil }

    mutating func paused(_ job: String, after seq: Int64) { pauses[job] = seq }
    /// How often a state followed another one.
    private(set) var courses: [String: Int] = [:]
    /// It may go on again, whether anybody was told so or not.
    mutating func mayResume(_ job: String) { pauses[job] = nil }

    /// Checks everything that is stored against what everybody was told.
    mutating func check(_ store: MemoryJobStore) async throws {
        for id in ids.values where !removals.contains(id) {
            _ = try await store.job(id)
        }
        for id in pipelines.values {
            #expect(store.everyPart(of: id).count == 3, "seed \(seed): \(id) is lost")
        }
        for id in store.ids {
            let job = try await store.job(id).job
            let events = try await store.events(of: id, after: 0, limit: .max).events
            let seqs = events.map(\.seq)
            let all = Array(1...UInt64(job.lastSeq))
            #expect(
                thinnings.contains(id)
                    ? seqs == Set(seqs).sorted() && Set(seqs).isSubset(of: all) : seqs == all,
                "seed \(seed): \(id): gaps"
            )
            let states = events.filter { $0.type == .state }
            #expect(
                states.first?.state == "BLOCKED" && states.last?.state == job.state.rawValue,
                "seed \(seed): \(id): the history is not the job's"
            )
            for (from, to) in zip(states, states.dropFirst()) {
                #expect(
                    Self.table[from.state]?.contains(to.state) == true,
                    "seed \(seed): \(id): \(from.state) became \(to.state)"
                )
            }
            if job.state == .succeeded {
                // What is reused was made by the job that it is reused from.
                let source = try await source(of: job, store)
                let made = "\(source?.id ?? "")/\(source?.epoch ?? 0)"
                #expect(
                    source == nil || completions[made]?.contains(.succeeded) == true,
                    "seed \(seed): \(id): nobody made what it succeeded with"
                )
                #expect(
                    events.last?.state == "SUCCEEDED",
                    "seed \(seed): \(id): goes on after its end"
                )
            }
            try await checkSequence(of: job, states, store)
            checkPause(of: job, states)
            for (from, to) in zip(states, states.dropFirst()) {
                courses["\(from.state) \(to.state)", default: 0] += 1
            }
            if let seq = cancellations[id] {
                let isAgain = states.contains { $0.seq > UInt64(seq) && $0.state == "STARTING" }
                #expect(!isAgain, "seed \(seed): \(id): leased after its cancellation")
            }
        }
    }

    /// A job that is held back waits for no worker before somebody lets it go on, or retries what became of it.
    private func checkPause(of job: Job, _ states: [JobEvent]) {
        guard let seq = pauses[job.id] else { return }
        let later = states.filter { $0.seq > UInt64(seq) }
        #expect(
            !later.contains { ["QUEUED", "STARTING", "RUNNING"].contains($0.state) },
            "seed \(seed): \(job.id): goes on, and nobody said so"
        )
    }

    /// The job that made what another one has; nil if it was removed since.
    private func source(of job: Job, _ store: MemoryJobStore) async throws -> Job? {
        guard let id = job.reusedFrom else { return job }
        return removals.contains(id) ? nil : try await store.job(id).job
    }

    /// A job starts only after those that must end well before it did, and a pipeline is there whole.
    private func checkSequence(
        of job: Job,
        _ states: [JobEvent],
        _ store: MemoryJobStore
    ) async throws {
        if states.contains(where: { $0.state == "STARTING" }) {
            for id in try await store.predecessors(of: job.id) where !removals.contains(id) {
                let before = try await store.job(id).job
                #expect(
                    before.state == .succeeded,
                    "seed \(seed): \(job.id) began, and \(id) is \(before.state)"
                )
            }
        }
        if let place = try await store.job(job.id).place {
            let parts = store.everyPart(of: place.pipeline)
            #expect(parts == ["a", "b", "c"], "seed \(seed): \(place.pipeline) is torn: \(parts)")
        }
    }
}
