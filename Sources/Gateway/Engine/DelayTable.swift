internal import Synchronization

/// Queued jobs that are not to be handed out yet, because they were lost lately.
///
/// In memory only: after a restart of the gateway nobody waits.
final class DelayTable: Sendable {
    private let ends = Mutex<[String: Int64]>([:])

    /// Keeps a job back until a reading of the clock that never jumps.
    func set(_ job: String, until end: Int64) { ends.withLock { $0[job] = end } }

    /// Nothing keeps the job back any more.
    func remove(_ job: String) { ends.withLock { $0[job] = nil } }

    /// How long a job is kept back still, in milliseconds; nil if it is not.
    func left(of job: String, at uptime: Int64) -> Int64? {
        ends.withLock { $0[job] }.flatMap { $0 > uptime ? $0 - uptime : nil }
    }

    /// The jobs that wait at an instant.
    func pending(at uptime: Int64) -> Set<String> {
        ends.withLock { ends in Set(ends.filter { $0.value > uptime }.keys) }
    }

    /// Forgets the jobs that have waited long enough.
    ///
    /// - Returns: Whether there was one.
    func expire(at uptime: Int64) -> Bool {
        ends.withLock { ends in
            let count = ends.count
            ends = ends.filter { $0.value > uptime }
            return ends.count < count
        }
    }
}
