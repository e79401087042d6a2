internal import Synchronization

/// Jobs that a worker had too little memory for, by how much that was: a worker with no more is not asked again.
///
/// In memory only: after a restart of the gateway one more worker says so.
final class MemoryNeeds: Sendable {
    private let floors = Mutex<[String: Int64]>([:])

    /// Notes that so many bytes were too few.
    func note(_ job: String, above bytes: Int64) {
        floors.withLock { $0[job] = max($0[job] ?? 0, bytes) }
    }

    /// The job is over, or begins anew.
    func forget(_ job: String) { floors.withLock { $0[job] = nil } }

    /// What was too little for a job; nil of one that no worker refused.
    func floor(of job: String) -> Int64? { floors.withLock { $0[job] } }

    /// The jobs that so many bytes are too few for.
    func jobs(beyond bytes: Int64) -> Set<String> {
        floors.withLock { floors in Set(floors.filter { $0.value >= bytes }.keys) }
    }
}
