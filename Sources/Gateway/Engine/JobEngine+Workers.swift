internal import Jobs
internal import Protocol

extension JobEngine {
    /// Makes a worker known.
    ///
    /// Another process of the same worker has lost its leases.
    ///
    /// `isConnected`: Whether the connection it calls on is open; while it is, and as long as a lease
    /// lasts after it was last heard, no other process takes its place.
    ///
    /// - Throws: ``StoreError`` (`alreadyExists`) while another process of this worker lives.
    func register(
        _ worker: Worker,
        isConnected: @escaping @Sendable () -> Bool = { false }
    ) async throws {
        if let living = presence.add(worker, heard: now, isConnected: isConnected) {
            let seconds = lifecycle.leaseDuration / 1000
            throw StoreError(
                .alreadyExists,
                "\(worker.identity) is at work already: process \(living.boot) at "
                    + "\(living.address) lives, so process \(worker.boot) at \(worker.address) "
                    + "is refused; stop one of them, or give each a certificate of its own (a process "
                    + "that is gone loses its place \(seconds) s after it was last heard)"
            )
        }
        try await store.put(worker)
        try await forEach(in: JobState.leased) { stored in
            guard let holder = stored.job.holder, holder.worker == worker.identity,
                holder.boot != worker.boot
            else { return }
            _ = try await endLease(of: stored.job.id, epoch: stored.job.epoch) { _ in
                "worker \(worker.identity.instance) was restarted"
            }
        }
        hub.signal(Self.queueTopic)
    }

    /// The worker that a caller is.
    ///
    /// - Throws: ``StoreError`` (`invalidState`) if this process of it is not registered.
    @discardableResult
    func registered(
        _ holder: LeaseHolder,
        isConnected: (@Sendable () -> Bool)? = nil
    ) throws -> Worker {
        guard let worker = presence.worker(holder.worker), worker.boot == holder.boot else {
            throw StoreError(
                .invalidState,
                "worker \(holder.worker.instance) is not registered; register again"
            )
        }
        presence.hear(holder, at: now, isConnected: isConnected)
        return worker
    }

    /// The owners who run as many jobs as they may.
    func ownersAtQuota() async throws -> Set<String> {
        let policy = policies.policy
        let quotas = [policy.quota] + policy.userQuotas.values
        guard quotas.contains(where: { $0.running != nil }) else { return [] }
        return Set(
            try await store.runningCounts().filter { owner, count in
                policy.quota(of: owner).running.map { count >= $0 } ?? false
            }.keys
        )
    }

    /// Forgets the workers that have been gone for a day and hold no lease.
    ///
    /// - Returns: Which.
    func forgetWorkers() async throws -> [WorkerIdentity] {
        var gone: [WorkerIdentity] = []
        for entry in presence.forgettable(at: now) {
            let identity = entry.worker.identity
            guard try await store.leases(of: identity).isEmpty, presence.forget(entry) else {
                continue
            }
            try await store.forget(entry.worker.holder)
            gone.append(identity)
        }
        return gone
    }

    /// Writes down when workers were last heard, for the gateway that comes after this one.
    func rememberWorkers() async throws {
        let seen = presence.all.map { ($0.worker.identity, $0.seen) }
        guard !seen.isEmpty else { return }
        try await store.put(seen: Dictionary(seen) { first, _ in first })
    }

    /// Services that one answer shows.
    private static let serviceLimit = 128

    /// Services as status shows them, with how many jobs each runs.
    func services() async throws -> [ServiceInfo] {
        var running: [WorkerIdentity: UInt32] = [:]
        try await forEach(in: JobState.leased) { stored in
            if let holder = stored.job.holder {
                running[holder.worker, default: 0] += 1
            }
        }
        let moment = now
        let all = presence.all
        // Those that are there go before those that are lost.
        let shown =
            all.filter { $0.isReachable(at: moment) } + all.filter { !$0.isReachable(at: moment) }
        return shown.prefix(Self.serviceLimit).map { entry in
            let count = running[entry.worker.identity] ?? 0
            var service = ServiceInfo(
                role: entry.worker.identity.role.rawValue,
                instance: entry.worker.identity.instance,
                address: entry.worker.address,
                state: entry.state(running: count, at: moment) ?? "lost",
                running: count,
                lastSeenUnixMs: entry.seen,
                certificateEndsUnixMs: entry.worker.certificateEnds
            )
            service.memoryBytes = UInt64(clamping: entry.worker.memory)
            return service
        }
    }

    /// Why a queued job waits, in a sentence, from what the workers offer.
    ///
    /// `busy`: The owners who run as many jobs as they may.
    func waitReason(_ stored: StoredJob, busy: Set<String>) -> String {
        let quota = policies.policy.quota(of: stored.owner).running
        if quota == 0 { return "\(stored.owner) may run no jobs (quota)" }
        if busy.contains(stored.owner) {
            let limit = quota ?? 0
            return limit == 1
                ? "waits for \(stored.owner)'s running job to end (quota: 1)"
                : "waits for one of \(stored.owner)'s \(limit) running jobs to end (quota)"
        }
        if let left = delays.left(of: stored.job.id, at: now.uptime) {
            let why =
                stored.job.reason == .noDisk
                ? "since a worker had no room for it"
                : "after \(stored.job.lossesAtStep) losses in a row"
            return "is kept back for another \((left + 999) / 1000) s \(why)"
        }
        let kind = stored.job.kind
        let able = presence.all.filter { $0.worker.offer.kinds.contains(kind) }
        guard !able.isEmpty else {
            return "no worker for \(kind.rawValue) jobs is registered"
        }
        let fitting = able.filter { $0.worker.offer.fits(kind, stored.resources) }
        guard !fitting.isEmpty else {
            let offers = Set(able.map(\.worker.offer.description)).sorted()
            return "waits for \(stored.resources.description); the workers offer "
                + offers.joined(separator: " or ")
        }
        let moment = now
        let floor = memoryNeeds.floor(of: stored.job.id) ?? -1
        let large = fitting.filter { $0.worker.memory > floor }
        guard !large.isEmpty else {
            let gigabytes = (Double(floor) / 1e8).rounded(.up) / 10
            return
                "waits for a worker with more memory than \(gigabytes) GB, which are too few for it"
        }
        let alive = large.filter { $0.isReachable(at: moment) }
        guard !alive.isEmpty else {
            return "no worker for \(kind.rawValue) jobs answers; known: \(Self.names(large))"
        }
        let ready = alive.filter { $0.hindrance(at: moment) == nil }
        guard !ready.isEmpty else {
            let reasons = alive.map {
                "\($0.worker.identity.instance): \($0.hindrance(at: moment) ?? "")"
            }
            return "no worker for \(kind.rawValue) jobs takes any: "
                + reasons.prefix(3).joined(separator: "; ")
        }
        return "waits for \(Self.names(ready)) to become free"
    }

    private static func names(_ entries: [WorkerPresence.Entry]) -> String {
        entries.map(\.worker.identity.instance).joined(separator: ", ")
    }
}
