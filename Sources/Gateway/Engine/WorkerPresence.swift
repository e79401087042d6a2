internal import Jobs
internal import Synchronization

/// The workers that registered, and when each was last heard: memory, so that a call of a worker
/// that finds nothing to do writes nothing.
final class WorkerPresence: Sendable {
    /// A worker, and when it was last heard.
    struct Entry: Sendable {
        let worker: Worker
        /// When it was last heard, or this gateway began to wait for it.
        var heard: Moment
        /// When it was last heard, by whichever gateway, in Unix milliseconds.
        var seen: Int64
        /// Why it takes no job now, as it said last; nil if it takes jobs.
        var obstacle: String?
        /// Whether it said goodbye: this process takes no job any more.
        var isStopping = false
        /// Whether the connection it last called on is open.
        var isConnected: @Sendable () -> Bool

        /// Whether it was not heard for so long that it is not counted on.
        func isSilent(at moment: Moment) -> Bool {
            moment.uptime - heard.uptime > WorkerPresence.silenceLimit
        }

        /// Whether it can take a job: it is connected, or was heard a moment ago and may be connecting.
        func isReachable(at moment: Moment) -> Bool {
            let isConnected = isConnected()
            // Who said goodbye is not on its way back.
            guard isConnected || !isStopping else { return false }
            let limit = isConnected ? WorkerPresence.silenceLimit : WorkerPresence.reconnection
            return moment.uptime - heard.uptime <= limit
        }

        /// Why it takes no job at a moment, in words that follow its name; nil if it takes one.
        func hindrance(at moment: Moment) -> String? {
            if isStopping { return "is stopping" }
            let silence = moment.uptime - heard.uptime
            if silence > WorkerPresence.hangLimit {
                return "was not heard of for \(silence / 1000) s, and may hang"
            }
            return obstacle
        }

        /// What status calls it, with so many jobs; nil if it is lost.
        func state(running count: UInt32, at moment: Moment) -> String? {
            // A connection may break for a while under a lease; the lease then says how long.
            guard isReachable(at: moment) || count > 0 && !isSilent(at: moment) else { return nil }
            if isStopping { return "stopping" }
            if moment.uptime - heard.uptime > WorkerPresence.hangLimit { return "silent" }
            return count > 0 ? "busy" : obstacle == nil ? "ready" : "unready"
        }
    }

    /// How long, in milliseconds, a worker without a connection may be on its way back.
    static let reconnection: Int64 = 10_000

    /// A worker that was not heard of for this long, in milliseconds, is not counted on.
    static let silenceLimit: Int64 = 60_000
    /// A worker that was not heard of for this long, in milliseconds, does not do what it should: it calls every
    /// 20 s at most, see ``heartbeatSeconds(lease:)``.
    static let hangLimit: Int64 = 30_000
    /// How often a worker with a lease of so many milliseconds is to be heard: six times while the lease lasts,
    /// and, however long that is, three times before the worker would be taken for silent.
    static func heartbeatSeconds(lease: Int64) -> UInt32 {
        UInt32(max(1, min(lease / 6, silenceLimit / 3) / 1000))
    }

    /// A worker that was not heard of for this long, in milliseconds, is forgotten.
    static let memory: Int64 = 86_400_000
    /// Workers above this number are forgotten as soon as they are silent, the longest silent first.
    static let countLimit = 1_024

    /// How long, in milliseconds, a worker's place is kept for the process that was last heard, whatever
    /// became of its connection.
    private let grace: Int64

    /// `grace`: How long a place is kept, in milliseconds; no shorter than a lease lasts.
    init(grace: Int64) {
        self.grace = grace
    }

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
    /// Two processes under one identity would take each other's leases for ever; so the first one that
    /// lives wins. It lives while the connection it last called on is open, and for ``grace`` after it
    /// was last heard: a broken connection, or another gateway, is no death. Only a process that has its
    /// state folder, which one process at a time can lock, need not wait for that.
    ///
    /// - Returns: The process that lives, if there is another one.
    func add(
        _ worker: Worker,
        heard: Moment,
        isConnected: @escaping @Sendable () -> Bool = { false }
    ) -> Worker? {
        entries.withLock { entries in
            if let known = entries[worker.identity], known.worker.boot != worker.boot {
                let silence = heard.uptime - known.heard.uptime
                let isConnected = known.isConnected() && silence <= Self.silenceLimit
                if isConnected || silence <= grace && !worker.isSuccessor(of: known.worker) {
                    return known.worker
                }
            }
            entries[worker.identity] = Entry(
                worker: worker,
                heard: heard,
                seen: heard.unix,
                obstacle: nil,
                isConnected: isConnected
            )
            return nil
        }
    }

    /// Takes up a worker that an earlier gateway knew.
    func restore(_ worker: Worker, at moment: Moment) {
        entries.withLock { entries in
            entries[worker.identity] = Entry(
                worker: worker,
                heard: moment,
                seen: worker.seen,
                obstacle: nil,
                isConnected: { false }
            )
        }
    }

    /// Takes those whose connections are open for heard: in a pause of the gateway nobody was.
    func renew(at moment: Moment) {
        entries.withLock { entries in
            for (identity, entry) in entries where entry.isConnected() {
                entries[identity]?.heard = moment
            }
        }
    }

    /// The workers that may be forgotten at an instant, if they hold no lease.
    func forgettable(at moment: Moment) -> [Entry] {
        entries.withLock { entries in
            let silent = entries.values
                .filter { $0.isSilent(at: moment) }
                .sorted { $0.seen < $1.seen }
            let excess = max(0, entries.count - Self.countLimit)
            return silent.enumerated().filter { index, entry in
                index < excess || moment.unix - entry.seen >= Self.memory
                    || moment.uptime - entry.heard.uptime >= Self.memory
            }.map(\.element)
        }
    }

    /// Forgets a worker, unless it was heard of since.
    ///
    /// - Returns: Whether it is forgotten.
    func forget(_ entry: Entry) -> Bool {
        entries.withLock { entries in
            let identity = entry.worker.identity
            guard let known = entries[identity], known.worker.boot == entry.worker.boot,
                known.heard == entry.heard
            else { return false }
            entries[identity] = nil
            return true
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
            entries[holder.worker]?.seen = moment.unix
            if let isConnected {
                entries[holder.worker]?.isConnected = isConnected
            }
            return true
        }
    }

    /// Notes that a worker takes no job any more.
    func noteStop(of holder: LeaseHolder) {
        entries.withLock { entries in
            guard entries[holder.worker]?.worker.boot == holder.boot else { return }
            entries[holder.worker]?.isStopping = true
        }
    }

    /// Notes why a worker takes no job now; nil if it does.
    func note(obstacle: String?, of holder: LeaseHolder) {
        entries.withLock { entries in
            guard entries[holder.worker]?.worker.boot == holder.boot else { return }
            entries[holder.worker]?.obstacle = obstacle
        }
    }
}
