internal import Synchronization

/// When leases end, on the clock that never jumps.
///
/// In memory only: nothing is written for a heartbeat that tells nothing, and after a restart every
/// lease begins anew.
final class LeaseTable: Sendable {
    private struct Entry {
        let epoch: Int64
        let end: Int64
    }

    private let entries = Mutex<[String: Entry]>([:])

    /// Extends a job's lease; one of an older epoch changes nothing.
    func set(_ job: String, epoch: Int64, until end: Int64) {
        entries.withLock { entries in
            if let known = entries[job], known.epoch > epoch { return }
            entries[job] = Entry(epoch: epoch, end: end)
        }
    }

    /// Begins to count for a job's lease, unless that was begun.
    func adopt(_ job: String, epoch: Int64, until end: Int64) {
        entries.withLock { entries in
            if entries[job] == nil { entries[job] = Entry(epoch: epoch, end: end) }
        }
    }

    /// Forgets a job's lease of an epoch or an older one; a younger one, which somebody may have
    /// been given meanwhile, stays.
    func remove(_ job: String, epoch: Int64) {
        entries.withLock { entries in
            if let known = entries[job], known.epoch <= epoch { entries[job] = nil }
        }
    }

    /// The jobs whose leases ended before an instant, each with the lease's epoch.
    func expired(before uptime: Int64) -> [(job: String, epoch: Int64)] {
        entries.withLock { entries in
            entries.filter { $0.value.end < uptime }.map { ($0.key, $0.value.epoch) }
                .sorted { $0.job < $1.job }
        }
    }
}
