internal import Synchronization

/// When jobs' time is over, on the clock that never jumps.
///
/// In memory: the store has the deadlines of the wall clock, and every start counts anew from there.
final class DeadlineTable: Sendable {
    private let ends = Mutex<[String: Int64]>([:])

    /// Begins to count for a job, unless that was begun; or stops, if there is no end.
    ///
    /// A jump of the wall clock moves nothing that is counted already.
    func track(_ job: String, until end: Int64?) {
        ends.withLock { ends in ends[job] = end.map { ends[job] ?? $0 } }
    }

    /// Stops counting for a job.
    func remove(_ job: String) { ends.withLock { $0[job] = nil } }

    /// The jobs whose time was over at an instant.
    func passed(at uptime: Int64) -> [String] {
        ends.withLock { ends in ends.filter { $0.value <= uptime }.keys.sorted() }
    }
}
