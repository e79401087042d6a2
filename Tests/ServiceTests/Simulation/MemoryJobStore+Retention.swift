internal import Jobs
internal import Protocol

@testable internal import Gateway

/// What is over. Artifacts are not simulated: nobody refers to any.
extension MemoryJobStore {
    func ended(
        _ which: EndedJobs,
        by time: Int64,
        after place: EndedPlace?,
        limit: Int
    ) async throws -> EndedPage {
        func rank(_ stored: StoredJob) -> (Int64, Int64) {
            (stored.job.finished ?? .max, stored.number)
        }
        let ended = rows { stored, trimmed in
            guard let finished = stored.job.finished, finished <= time else { return false }
            return switch which {
            case .all: true
            case .untrimmed: trimmed < finished
            case .withCheckpoint: stored.job.checkpointStep > 0
            }
        }.sorted { rank($0) < rank($1) }
        let start = place.map { ($0.finished, $0.number) } ?? (.min, .min)
        let jobs = Array(ended.filter { start < rank($0) }.prefix(limit))
        var page = EndedPage(jobs: jobs)
        if jobs.count == limit, let last = jobs.last.map(rank) {
            page.next = EndedPlace(finished: last.0, number: last.1)
        }
        return page
    }

    func endedCounts() async throws -> [String: Int64] {
        rows { stored, _ in stored.job.finished != nil }
            .reduce(into: [:]) { $0[$1.owner, default: 0] += 1 }
    }

    func digests(
        freedBy jobs: [String],
        _ expiry: GrantExpiry
    ) async throws -> Set<SHA256Digest> { [] }

    func heldBytes() async throws -> [String: Int64] { [:] }

    func forgetKeys(before time: Int64, limit: Int) async throws -> Int { 0 }

    func renew(_ digests: Set<SHA256Digest>, of holder: String, at time: Int64) async throws
        -> Set<SHA256Digest>
    { digests }

    func release(_ digests: Set<SHA256Digest>, _ expiry: GrantExpiry) async throws
        -> Set<SHA256Digest>
    { [] }

    func releasable(_ digests: Set<SHA256Digest>, _ expiry: GrantExpiry) async throws
        -> Set<SHA256Digest>
    { [] }

    func grants(_ expiry: GrantExpiry, after digest: SHA256Digest?, limit: Int) async throws
        -> [ArtifactGrant]
    { [] }

    func references(to digest: SHA256Digest, limit: Int) async throws
        -> (jobs: [ArtifactReference], count: Int)
    { ([], 0) }

    func referenced(after digest: SHA256Digest?, limit: Int) async throws -> [SHA256Digest] { [] }

    func damagedDigests(limit: Int) async throws -> [DamagedDigest] { [] }
}
