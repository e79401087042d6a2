internal import Jobs
internal import Synchronization

/// The workers that registered, and when each was last heard: memory, so that a call of a worker
/// that finds nothing to do writes nothing.
final class WorkerPresence: Sendable {
    /// A worker, and when it was last heard.
    struct Entry: Sendable {
        let worker: Worker
        var heard: Moment
    }

    /// A worker that was not heard of for this long, in milliseconds, is not counted on.
    static let silenceLimit: Int64 = 60_000

    private let entries = Mutex<[WorkerIdentity: Entry]>([:])

    /// Every worker, by role and instance.
    var all: [Entry] {
        entries.withLock { Array($0.values) }.sorted {
            ($0.worker.identity.role.rawValue, $0.worker.identity.instance)
                < ($1.worker.identity.role.rawValue, $1.worker.identity.instance)
        }
    }

    /// The worker of an identity.
    func worker(_ identity: WorkerIdentity) -> Worker? {
        entries.withLock { $0[identity]?.worker }
    }

    /// Makes a worker known, in the place of an earlier process of it.
    func add(_ worker: Worker, heard: Moment) {
        entries.withLock { $0[worker.identity] = Entry(worker: worker, heard: heard) }
    }

    /// Notes that a worker lives.
    ///
    /// - Returns: Whether it is the one that is registered.
    @discardableResult
    func hear(_ holder: LeaseHolder, at moment: Moment) -> Bool {
        entries.withLock { entries in
            guard entries[holder.worker]?.worker.boot == holder.boot else { return false }
            entries[holder.worker]?.heard = moment
            return true
        }
    }
}
