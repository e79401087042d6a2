internal import Jobs
internal import Synchronization

/// The workers that registered, and when each was last heard: memory, so that a call of a worker
/// that finds nothing to do writes nothing.
final class WorkerPresence: Sendable {
    /// A worker, and when it was last heard.
    struct Entry: Sendable {
        let worker: Worker
        var heard: Moment
        /// Whether the connection it last called on is open.
        var isConnected: @Sendable () -> Bool
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

    /// Makes a worker known, in the place of an earlier process of it that is gone.
    ///
    /// Two processes under one identity would take each other's leases for ever; so the second one
    /// is refused while the first lives: while the connection it last called on is open.
    ///
    /// - Returns: The process that lives, if there is another one.
    func add(
        _ worker: Worker,
        heard: Moment,
        isConnected: @escaping @Sendable () -> Bool = { false }
    ) -> Worker? {
        entries.withLock { entries in
            if let known = entries[worker.identity], known.worker.boot != worker.boot,
                known.isConnected(), heard.uptime - known.heard.uptime <= Self.silenceLimit
            {
                return known.worker
            }
            entries[worker.identity] = Entry(
                worker: worker,
                heard: heard,
                isConnected: isConnected
            )
            return nil
        }
    }

    /// Notes that a worker lives.
    ///
    /// - Returns: Whether it is the one that is registered.
    @discardableResult
    func hear(
        _ holder: LeaseHolder,
        at moment: Moment,
        isConnected: (@Sendable () -> Bool)? = nil
    ) -> Bool {
        entries.withLock { entries in
            guard entries[holder.worker]?.worker.boot == holder.boot else { return false }
            entries[holder.worker]?.heard = moment
            if let isConnected {
                entries[holder.worker]?.isConnected = isConnected
            }
            return true
        }
    }
}
