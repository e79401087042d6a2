internal import Jobs
internal import Protocol
internal import Synchronization

@testable internal import Gateway

/// Jobs in memory, for simulations: what SQLite keeps, without a disk; it loses nothing by itself, and
/// fails when it is told to.
final class MemoryJobStore: JobStore {
    /// How a commit fails.
    enum Fault: Sendable {
        /// Nothing is stored.
        case before
        /// All is stored, but the caller does not learn it.
        case after
    }

    private struct Row {
        var insertion: JobBatch.Insertion
        var stored: StoredJob
        var results: [UInt8] = []
        var inputs: [Input]
        var outputs: [OutputFile] = []
        var checkpoint: [OutputFile] = []
        var events: [JobEvent] = []
        /// The end whose history lost its details.
        var trimmed: Int64 = 0
    }

    private struct State {
        var rows: [Row] = []
        var pipelines: [JobBatch.Pipeline] = []
        var workers: [WorkerIdentity: Worker] = [:]
        /// The ids of removed jobs, by their keys.
        var removed: [String: String] = [:]
        /// The parts of pipelines that were removed.
        var removedParts: [String: Set<String>] = [:]
        var lastNumber: Int64 = 0
        var fault: Fault?
    }

    private let state = Mutex(State())

    /// Makes the next commit fail.
    func fail(_ fault: Fault?) { state.withLock { $0.fault = fault } }

    /// All ids, from the oldest.
    var ids: [String] { state.withLock { $0.rows.map(\.stored.job.id) } }

    /// The numbers of the jobs' newest events.
    var lastSeqs: [String: Int64] {
        state.withLock { state in
            state.rows.reduce(into: [:]) { $0[$1.stored.job.id] = $1.stored.job.lastSeq }
        }
    }

    private func entry(_ id: String) throws -> Row {
        guard let row = state.withLock({ $0.rows.first { $0.stored.job.id == id } }) else {
            throw StoreError(.notFound, "no job \(id)")
        }
        return row
    }

    private func select(_ body: (StoredJob) -> Bool) -> [StoredJob] {
        state.withLock { $0.rows.map(\.stored).filter(body) }
    }

    func job(_ id: String) async throws -> StoredJob { try entry(id).stored }

    func row(_ id: String) async throws -> JobRow {
        let stored = try entry(id).stored
        return JobRow(
            id: id,
            owner: stored.owner,
            version: stored.job.version,
            pipeline: stored.place?.pipeline
        )
    }

    func submission(owner: String, key: String) async throws -> (id: String, digest: [UInt8])? {
        state.withLock { state in
            state.rows.first { $0.insertion.owner == owner && $0.insertion.key == key }
                .map { ($0.stored.job.id, $0.insertion.digest.bytes) }
        }
    }

    func document(_ id: String) async throws -> JobDocument {
        let row = try entry(id)
        return JobDocument(spec: row.insertion.spec, results: row.results)
    }

    func inputs(of id: String) async throws -> [Input] { try entry(id).inputs }
    func outputs(of id: String) async throws -> [OutputFile] { try entry(id).outputs }
    func checkpoint(of id: String) async throws -> [OutputFile] { try entry(id).checkpoint }

    func events(of id: String, after seq: Int64, limit: Int) async throws -> StoredEvents {
        let events = try entry(id).events.filter { $0.seq > UInt64(clamping: seq) }
        return StoredEvents(events: Array(events.prefix(limit)))
    }

    func page(before number: Int64?, limit: Int, of choice: JobChoice) async throws -> [ListedJob] {
        select { stored in
            stored.number < number ?? .max && stored.owner == choice.owner ?? stored.owner
                && (choice.states.isEmpty || choice.states.contains(stored.job.state))
                && (choice.kinds.isEmpty || choice.kinds.contains(stored.job.kind))
                && (choice.name.isEmpty
                    || stored.name.lowercased().contains(choice.name.lowercased()))
        }
        .reversed().prefix(limit).map { .job($0) }
    }

    func jobs(in states: [JobState], after number: Int64, limit: Int) async throws -> StoredJobs {
        Self.page(select { $0.number > number && states.contains($0.job.state) }, limit)
    }

    private static func page(_ all: [StoredJob], _ limit: Int) -> StoredJobs {
        let jobs = Array(all.prefix(limit))
        return StoredJobs(jobs: jobs, next: jobs.count == limit ? jobs.last?.number : nil)
    }

    /// Jobs that name one among their inputs or start after it.
    func jobs(naming id: String) -> [StoredJob] {
        state.withLock { state in
            state.rows.filter { row in
                row.insertion.after.contains(id)
                    || row.inputs.contains { InputSource($0.source).job == id }
            }.map(\.stored)
        }
    }

    /// Jobs of which `body` says so, given the end whose history lost its details.
    func rows(_ body: (StoredJob, _ trimmed: Int64) -> Bool) -> [StoredJob] {
        state.withLock { state in
            state.rows.filter { body($0.stored, $0.trimmed) }.map(\.stored)
        }
    }

    /// The names of a pipeline's jobs, those that were removed among them.
    func everyPart(of pipeline: String) -> Set<String> {
        state.withLock { state in
            (state.removedParts[pipeline] ?? []).union(
                state.rows.compactMap { row in
                    row.insertion.place.flatMap { $0.pipeline == pipeline ? $0.part : nil }
                }
            )
        }
    }

    func removed(owner: String, key: String) async throws -> String? {
        state.withLock { $0.removed["\(owner)/\(key)"] }
    }

    func dependents(
        of id: String,
        in states: [JobState],
        after number: Int64,
        limit: Int
    ) async throws -> StoredJobs {
        let all = jobs(naming: id).filter { $0.number > number && states.contains($0.job.state) }
        return Self.page(all, limit)
    }

    func predecessors(of id: String) async throws -> [String] { try entry(id).insertion.after }

    func existing(among ids: Set<String>) async throws -> Set<String> {
        Set(select { ids.contains($0.job.id) }.map(\.job.id))
    }

    func waits(of ids: Set<String>) async throws -> [String: StoredWait] {
        let done = Set(select { $0.job.state == .succeeded }.map(\.job.id))
        let rows = state.withLock { $0.rows }.filter { ids.contains($0.stored.job.id) }
        return rows.reduce(into: [:]) { waits, row in
            let after = row.insertion.after.sorted()
            waits[row.stored.job.id] = StoredWait(
                sources: row.inputs.map(\.source).filter { source in
                    InputSource(source).job.map { !done.contains($0) } ?? false
                },
                after: after,
                unfinished: Set(after).subtracting(done)
            )
        }
    }

    func pipeline(owner: String, key: String) async throws -> (id: String, digest: [UInt8])? {
        state.withLock { state in
            state.pipelines.first { $0.owner == owner && $0.key == key }
                .map { ($0.id, $0.digest.bytes) }
        }
    }

    func pipelines(_ ids: Set<String>) async throws -> [StoredPipeline] {
        state.withLock { $0.pipelines }.filter { ids.contains($0.id) }.map { pipeline in
            var stored = StoredPipeline(
                id: pipeline.id,
                owner: pipeline.owner,
                name: pipeline.name,
                created: pipeline.created
            )
            for part in select({ $0.place?.pipeline == pipeline.id }) {
                stored.counts[part.job.state, default: 0] += 1
                stored.finished = [stored.finished, part.job.finished].compactMap(\.self).max()
            }
            return stored
        }
    }

    func parts(of pipeline: String) async throws -> StoredJobs {
        StoredJobs(jobs: select { $0.place?.pipeline == pipeline })
    }

    func succeeded(
        content: SHA256Digest,
        owner: String?,
        limit: Int
    ) async throws -> [StoredJob] {
        let same = state.withLock { state in
            state.rows.filter { $0.insertion.content == content }.map(\.stored)
        }
        return Array(
            same.filter { $0.job.state == .succeeded && (owner == nil || $0.owner == owner) }
                .reversed().prefix(limit)
        )
    }

    func nextQueued(
        for offer: Offer,
        excluding owners: Set<String>,
        delayed: Set<String>
    ) async throws -> StoredJob? {
        select {
            $0.job.state == .queued && offer.fits($0.job.kind, $0.resources)
                && !owners.contains($0.owner) && !delayed.contains($0.job.id)
        }.min {
            let left = ($0.priority.rank(created: $0.job.created), $0.number)
            return left < ($1.priority.rank(created: $1.job.created), $1.number)
        }
    }

    func runningCounts() async throws -> [String: Int] {
        select { $0.job.state.isLeased }.reduce(into: [:]) { $0[$1.owner, default: 0] += 1 }
    }

    func leases(of worker: WorkerIdentity) async throws -> [String] {
        select { $0.job.state.isLeased && $0.job.holder?.worker == worker }.map(\.job.id)
    }

    func commit(_ batch: JobBatch) async throws -> CommitOutcome {
        try state.withLock { state in
            let fault = state.fault
            state.fault = nil
            if fault == .before { throw StoreError(.unusable, "the disk is gone") }
            var copy = state
            guard let refusal = Self.apply(batch, &copy) else {
                state = copy
                if fault == .after { throw StoreError(.unusable, "the answer is lost") }
                return .committed
            }
            return refusal
        }
    }

    /// Applies a batch; what stands in the way, or nil.
    private static func apply(_ batch: JobBatch, _ state: inout State) -> CommitOutcome? {
        for condition in batch.conditions {
            let row = state.rows.first { $0.stored.job.id == condition.id }
            guard row?.stored.job.state == condition.state else { return .conflict }
        }
        for ceiling in batch.ceilings {
            let count = state.rows.count {
                $0.insertion.owner == ceiling.owner && ceiling.states.contains($0.stored.job.state)
            }
            if count >= ceiling.limit { return .overQuota }
        }
        for pipeline in batch.pipelines {
            let isTaken = state.pipelines.contains {
                $0.id == pipeline.id || $0.owner == pipeline.owner && $0.key == pipeline.key
            }
            if isTaken { return .taken }
            state.pipelines.append(pipeline)
        }
        for insertion in batch.insertions {
            let isTaken = state.rows.contains {
                $0.stored.job.id == insertion.job.id
                    || $0.insertion.owner == insertion.owner && $0.insertion.key == insertion.key
            }
            if isTaken || state.removed["\(insertion.owner)/\(insertion.key)"] != nil {
                return .taken
            }
            state.lastNumber += 1
            let stored = StoredJob(
                number: state.lastNumber,
                owner: insertion.owner,
                name: insertion.name,
                resources: insertion.resources,
                depth: insertion.depth,
                job: insertion.job,
                priority: insertion.priority,
                place: insertion.place,
                progress: nil
            )
            state.rows.append(
                Row(
                    insertion: insertion,
                    stored: stored,
                    results: insertion.results,
                    inputs: insertion.inputs,
                    outputs: insertion.outputs
                )
            )
        }
        for change in batch.changes {
            let index = state.rows.firstIndex { $0.stored.job.id == change.job.id }
            guard let index, state.rows[index].stored.job.version == change.job.version else {
                return .conflict
            }
            apply(change, &state.rows[index])
        }
        for event in batch.events {
            guard let index = state.rows.firstIndex(where: { $0.stored.job.id == event.jobID })
            else {
                return .conflict
            }
            state.rows[index].events.append(event)
        }
        for trim in batch.trims {
            guard let index = state.rows.firstIndex(where: { $0.stored.job.id == trim.id })
            else { continue }
            state.rows[index].events.removeAll { trim.seqs.contains($0.seq) }
            state.rows[index].trimmed = trim.finished ?? state.rows[index].trimmed
        }
        for removal in batch.removals {
            guard remove(removal, &state) else { return .conflict }
        }
        return nil
    }

    /// Removes a job, or says that it is not as it must be.
    private static func remove(_ removal: JobBatch.Removal, _ state: inout State) -> Bool {
        let index = state.rows.firstIndex {
            $0.stored.job.id == removal.id && $0.stored.job.version == removal.version
        }
        let isNeeded = state.rows.contains { row in
            removal.unlessNeededIn.contains(row.stored.job.state)
                && (row.insertion.after.contains(removal.id)
                    || row.inputs.contains { InputSource($0.source).job == removal.id })
        }
        guard let index, !isNeeded else { return false }
        let gone = state.rows.remove(at: index).insertion
        if let place = gone.place {
            state.removedParts[place.pipeline, default: []].insert(place.part)
        }
        state.removed["\(gone.owner)/\(gone.key)"] = gone.job.id
        return true
    }

    private static func apply(_ change: JobBatch.Change, _ row: inout Row) {
        var job = change.job
        job.version += 1
        row.stored = StoredJob(
            number: row.stored.number,
            owner: row.stored.owner,
            name: row.stored.name,
            resources: row.stored.resources,
            depth: row.stored.depth,
            job: job,
            priority: row.stored.priority,
            place: row.stored.place,
            progress: change.progress ?? row.stored.progress
        )
        row.results = change.results ?? row.results
        row.outputs = change.outputs ?? row.outputs
        row.checkpoint = change.checkpoint ?? row.checkpoint
        for (position, files) in change.files { row.inputs[position].files = files }
    }

    func grant(_ openings: [JobBatch.Opening]) async throws {}

    func granted(_ digests: Set<SHA256Digest>, to holder: String) async throws
        -> Set<SHA256Digest>
    { digests }

    func byteCount(of holder: String) async throws -> Int64 { 0 }

    func inputs(among digests: Set<SHA256Digest>, of jobs: [String]) async throws
        -> Set<SHA256Digest>
    { digests }

    func put(_ worker: Worker) async throws {
        state.withLock { state in
            state.workers[worker.identity] = worker
            state.workers[worker.identity]?.seen = worker.registered
        }
    }

    func put(seen: [WorkerIdentity: Int64]) async throws {
        state.withLock { state in
            for (identity, time) in seen { state.workers[identity]?.seen = time }
        }
    }

    func forget(_ holder: LeaseHolder) async throws {
        state.withLock { state in
            guard state.workers[holder.worker]?.boot == holder.boot else { return }
            state.workers[holder.worker] = nil
        }
    }

    func workers() async throws -> [Worker] { state.withLock { Array($0.workers.values) } }
    func probe() async throws {}
    func tidy() async throws {}
    func close() throws {}
}
