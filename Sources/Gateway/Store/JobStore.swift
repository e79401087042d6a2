internal import Jobs
internal import Protocol

/// Where jobs last: it keeps and finds them, and decides nothing.
///
/// What is committed is on disk when the call returns. A commit holds only if every job in it is
/// still the one that was read, so that whoever decides needs no lock; nothing here asks for more
/// than a database of rows with atomic writes offers.
protocol JobStore: PipelineStore {
    /// One job.
    ///
    /// - Throws: ``StoreError`` (`notFound`, `corrupt`).
    func job(_ id: String) async throws -> StoredJob

    /// What can be told of a job although the rest of its row may not be readable.
    ///
    /// - Throws: ``StoreError`` (`notFound`).
    func row(_ id: String) async throws -> JobRow

    /// Those of some jobs that there are, by id.
    func existing(among ids: Set<String>) async throws -> Set<String>

    /// The job that a user submitted with a key, and the digest of what was submitted.
    func submission(owner: String, key: String) async throws -> (id: String, digest: [UInt8])?

    /// What a job computes, and its results.
    func document(_ id: String) async throws -> JobDocument

    /// A job's inputs, in their order.
    func inputs(of id: String) async throws -> [Input]

    /// A job's outputs, by name.
    func outputs(of id: String) async throws -> [OutputFile]

    /// The files of a job's newest checkpoint.
    func checkpoint(of id: String) async throws -> [OutputFile]

    /// Events of a job after a number, in order.
    func events(of id: String, after seq: Int64, limit: Int) async throws -> StoredEvents

    /// Jobs from the newest, below a number, of which all is true that is asked.
    func page(before number: Int64?, limit: Int, of choice: JobChoice) async throws -> [ListedJob]

    /// Jobs in some states from the oldest, above a number.
    func jobs(in states: [JobState], after number: Int64, limit: Int) async throws -> StoredJobs

    /// The queued job of the least rank, and of these the oldest, that fits an offer, is not of some
    /// owners, and is not to wait.
    func nextQueued(
        for offer: Offer,
        excluding owners: Set<String>,
        delayed: Set<String>
    ) async throws -> StoredJob?

    /// How many jobs are in each state, and when the oldest of them was submitted, in Unix milliseconds.
    func stateCounts() async throws -> [JobState: StateCount]

    /// How many jobs each owner has running.
    func runningCounts() async throws -> [String: Int]

    /// The jobs that a worker holds leases on.
    func leases(of worker: WorkerIdentity) async throws -> [String]

    /// Stores changes, all or none.
    func commit(_ batch: JobBatch) async throws -> CommitOutcome

    /// Opens artifacts to holders.
    func grant(_ openings: [JobBatch.Opening]) async throws

    /// Those of some artifacts that are open to a holder.
    func granted(_ digests: Set<SHA256Digest>, to holder: String) async throws
        -> Set<SHA256Digest>

    /// Bytes of all artifacts that are open to a holder.
    func byteCount(of holder: String) async throws -> Int64

    /// The artifacts that would be free if some jobs were removed together: files of theirs that no other job
    /// refers to, and nobody brought since an expiry.
    func digests(freedBy jobs: [String], _ expiry: GrantExpiry) async throws -> Set<SHA256Digest>

    /// Bytes of the artifacts that each holder has: what is open to them, as ``byteCount(of:)`` counts it, and the
    /// checkpoints of their jobs.
    func heldBytes() async throws -> [String: Int64]

    /// Those of some artifacts that are inputs or checkpoints of some jobs.
    func inputs(among digests: Set<SHA256Digest>, of jobs: [String]) async throws
        -> Set<SHA256Digest>

    /// Remembers a worker, in the place of what was known of it.
    func put(_ worker: Worker) async throws

    /// The workers that registered and were not forgotten.
    func workers() async throws -> [Worker]

    /// Remembers when workers were last heard, in Unix milliseconds.
    func put(seen: [WorkerIdentity: Int64]) async throws

    /// Forgets a process of a worker.
    func forget(_ holder: LeaseHolder) async throws

    /// Writes something, to see whether writing works.
    func probe() async throws

    // MARK: What is over

    /// Jobs that ended at a time or before, from the one that ended first, after a place.
    func ended(
        _ which: EndedJobs,
        by time: Int64,
        after place: EndedPlace?,
        limit: Int
    ) async throws -> EndedPage

    /// How many jobs are over, by owner.
    func endedCounts() async throws -> [String: Int64]

    /// The job that had a key of an owner before it was removed.
    func removed(owner: String, key: String) async throws -> String?

    /// Forgets the keys of jobs that were removed before a time, and of pipelines that were submitted
    /// before it and have no jobs any more; returns how many.
    func forgetKeys(before time: Int64, limit: Int) async throws -> Int

    /// Those of some artifacts that are open to a holder, as if they had been brought at a time, in Unix
    /// milliseconds.
    func renew(_ digests: Set<SHA256Digest>, of holder: String, at time: Int64) async throws
        -> Set<SHA256Digest>

    /// Ends openings of some artifacts, unless a job refers to them.
    ///
    /// - Returns: The artifacts that nobody refers to any more.
    func release(_ digests: Set<SHA256Digest>, _ expiry: GrantExpiry) async throws
        -> Set<SHA256Digest>

    /// What ``release(_:_:)`` would return, without ending anything.
    func releasable(_ digests: Set<SHA256Digest>, _ expiry: GrantExpiry) async throws
        -> Set<SHA256Digest>

    /// Openings that an expiry ends, by digest, after one.
    func grants(_ expiry: GrantExpiry, after digest: SHA256Digest?, limit: Int) async throws
        -> [ArtifactGrant]

    /// Jobs that refer to an artifact, and how many there are.
    func references(to digest: SHA256Digest, limit: Int) async throws
        -> (jobs: [ArtifactReference], count: Int)

    /// Artifacts that jobs refer to, in order, after one.
    func referenced(after digest: SHA256Digest?, limit: Int) async throws -> [SHA256Digest]

    /// Rows that name files of jobs, and whose digests are none.
    func damagedDigests(limit: Int) async throws -> [DamagedDigest]

    /// Work that is due now and then.
    func tidy() async throws

    /// Lets go of the files.
    func close() throws
}

/// What came of a commit.
enum CommitOutcome: Sendable, Equatable {
    /// It is on disk.
    case committed
    /// A job is not what it was when it was read; nothing was stored.
    case conflict
    /// A new job's key or id is taken; nothing was stored.
    case taken
    /// An artifact that a new job refers to is gone; nothing was stored.
    case artifactsGone
    /// An owner has as many jobs as one of the batch's ceilings says; nothing was stored.
    case overQuota
}

/// A job as it is stored, without what it computes.
struct StoredJob: Sendable {
    /// Counts jobs.
    let number: Int64
    /// Who submitted it.
    let owner: String
    /// The name for people.
    let name: String
    /// The machines it asks for.
    let resources: Resources
    /// How many jobs in a row, itself included, wait for one another before it.
    let depth: Int
    /// Its life.
    let job: Job
    /// How soon it is taken.
    var priority = Priority.normal
    /// The pipeline that it is of, and its name within.
    var place: PipelinePlace?
    /// Its latest progress.
    let progress: JobProgress?
}

/// Where a job stands in a pipeline.
struct PipelinePlace: Sendable, Equatable {
    /// The pipeline.
    let pipeline: String
    /// The job's name within it.
    let part: String
}

/// A job of a page; a row that cannot be read does not hide the others.
enum ListedJob: Sendable {
    /// A job.
    case job(StoredJob)
    /// A row that cannot be read: its number, its id, and what is wrong.
    case unreadable(number: Int64, id: String, StoreError)

    /// The job, if it can be read.
    var stored: StoredJob? {
        guard case .job(let stored) = self else { return nil }
        return stored
    }

    /// The pipeline that it is of, if that can be read.
    var pipeline: String? { stored?.place?.pipeline }

    /// The job's number.
    var number: Int64 {
        switch self {
        case .job(let stored): stored.number
        case .unreadable(let number, _, _): number
        }
    }
}

/// What a job computes, and what came of it.
struct JobDocument: Sendable {
    /// The canonical specification.
    let spec: [UInt8]
    /// The results as JSON; empty before there are any.
    let results: [UInt8]
}

/// A worker that registered.
struct Worker: Sendable, Equatable {
    /// Which one.
    let identity: WorkerIdentity
    /// Which process of it.
    let boot: String
    /// Where it listens.
    let address: String
    /// What it offers.
    let offer: Offer
    /// Threads it computes with.
    let cores: Int64
    /// Bytes of memory it has.
    let memory: Int64
    /// Its version.
    let version: String
    /// When it registered, in Unix milliseconds.
    let registered: Int64
    /// When the first of its certificates ends, in Unix milliseconds; 0 is unknown.
    var certificateEnds: Int64 = 0

    /// Names the state folder of its process, which one process at a time can lock; empty is unknown.
    var stateID = ""
    /// When it was last heard, in Unix milliseconds; now and then written.
    var seen: Int64 = 0

    /// Whether it is the process that follows another one on the same state folder.
    func isSuccessor(of other: Worker) -> Bool { !stateID.isEmpty && stateID == other.stateID }

    /// Its lease holder.
    var holder: LeaseHolder { LeaseHolder(worker: identity, boot: boot) }
}

/// How many jobs are in a state.
struct StateCount: Sendable, Equatable {
    var count = 0
    /// When the oldest was submitted, in Unix milliseconds.
    var oldest: Int64?
}

extension JobStore {
    /// Counts by reading all jobs, for stores that have no faster way.
    func stateCounts() async throws -> [JobState: StateCount] {
        var counts: [JobState: StateCount] = [:]
        var place: Int64? = 0
        while let after = place {
            let page = try await jobs(in: JobState.allCases, after: after, limit: 500)
            for stored in page.jobs {
                counts[stored.job.state, default: StateCount()].count += 1
                let oldest = counts[stored.job.state]?.oldest ?? .max
                counts[stored.job.state]?.oldest = min(oldest, stored.job.created)
            }
            place = page.next
        }
        return counts
    }
}
