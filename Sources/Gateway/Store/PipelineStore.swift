internal import Jobs
internal import Protocol

/// What a store keeps of jobs that belong together, and of jobs that stand for one another.
protocol PipelineStore: Sendable {
    /// The jobs that must end well before a job starts, beside those whose outputs it takes.
    func predecessors(of id: String) async throws -> [String]

    /// What some jobs wait for, each by its id; of a page of jobs at once.
    func waits(of ids: Set<String>) async throws -> [String: StoredWait]

    /// Jobs in some states that need an output of a job, or start after it, from the oldest, above a
    /// number.
    func dependents(
        of id: String,
        in states: [JobState],
        after number: Int64,
        limit: Int
    ) async throws -> StoredJobs

    /// The pipeline that a user submitted with a key, and the digest of what was submitted.
    func pipeline(owner: String, key: String) async throws -> (id: String, digest: [UInt8])?

    /// Those of some pipelines that there are, each with how many of its jobs are in which state.
    func pipelines(_ ids: Set<String>) async throws -> [StoredPipeline]

    /// A pipeline's jobs from the oldest, on one page.
    func parts(of pipeline: String) async throws -> StoredJobs

    /// Jobs that succeeded with a specification, the newest first; those of one owner, or all.
    func succeeded(
        content: SHA256Digest,
        owner: String?,
        limit: Int
    ) async throws -> [StoredJob]
}

/// What a job waits for, as far as its rows tell.
struct StoredWait: Sendable, Equatable {
    /// The sources of its inputs that are outputs of jobs which have not succeeded, in the inputs' order.
    var sources: [String] = []
    /// The jobs after which it starts, in order.
    var after: [String] = []
    /// Those of them that have not succeeded.
    var unfinished: Set<String> = []
    /// What is wrong with a row of its inputs.
    var fault: String?
}

/// Jobs that were submitted together.
struct StoredPipeline: Sendable, Equatable {
    /// Its id.
    let id: String
    /// Who submitted it.
    let owner: String
    /// The name for people.
    let name: String
    /// Submission, in Unix milliseconds.
    let created: Int64
    /// How many of its jobs are in which state.
    var counts: [JobState: Int] = [:]
    /// When the last of those that ended did, in Unix milliseconds.
    var finished: Int64?
}
