internal import Foundation
internal import Jobs
internal import Protocol

// What workers ask: leases, and to have what they tell kept. A call that shows another's lease changes
// nothing.
extension GatewayAPI {
    /// Makes a worker known, under the role and instance of its certificate.
    func register(
        _ request: RegisterWorkerRequest,
        by principal: Principal
    ) async throws -> RegisterWorkerResponse {
        let caller = Caller(principal, .registerWorker)
        let holder = try authority.holder(
            boot: request.bootID,
            instance: request.instance,
            caller
        )
        guard request.role == holder.worker.role.rawValue else {
            throw authority.denied(
                caller,
                "role \(PlainText.quoted(request.role)) is not the certificate's"
            )
        }
        let kinds = request.kinds.compactMap(Kind.init(rawValue:))
        guard kinds.count == request.kinds.count,
            kinds.allSatisfy(holder.worker.role.kinds.contains)
        else {
            let asked = request.kinds.prefix(8).map { PlainText.quoted($0, byteLimit: 40) }
            throw authority.denied(
                caller,
                "role \(holder.worker.role.rawValue) runs no jobs of kinds "
                    + asked.joined(separator: ", ")
            )
        }
        let accelerator = try accelerator(of: request, caller)
        for text in [request.bootID, request.address, request.version, request.stateID] {
            if let fault = PlainText.fault(in: text, byteLimit: 128) {
                throw StoreError(.invalidArgument, "\(PlainText.quoted(text)) \(fault)")
            }
        }
        let worker = Worker(
            identity: holder.worker,
            boot: holder.boot,
            address: request.address,
            offer: Offer(
                kinds: kinds,
                accelerator: accelerator,
                devices: max(1, Int(request.devices)),
                nodes: max(1, Int(request.nodes)),
                runsCode: request.runsCode
            ),
            cores: Int64(request.cores),
            memory: Int64(clamping: request.memoryBytes),
            version: request.version,
            registered: engine.now.unix,
            certificateEnds: request.certificateEndsUnixMs,
            stateID: request.stateID
        )
        do {
            try await engine.register(worker, isConnected: principal.isConnected)
        } catch let error as StoreError where error.code == .alreadyExists {
            authority.audit.deny(caller, error.message)
            throw error
        }
        authority.audit.allow(caller, "\(holder.worker) is process \(holder.boot)")
        let lease = engine.lifecycle.leaseDuration
        return RegisterWorkerResponse(
            leaseSeconds: UInt32((Double(lease) / 1000).rounded(.up)),
            heartbeatSeconds: WorkerPresence.heartbeatSeconds(lease: lease)
        )
    }

    /// What a worker computes with: left out, the host's processor, as of workers from before it was said.
    private func accelerator(
        of request: RegisterWorkerRequest,
        _ caller: Caller
    ) throws -> Accelerator {
        guard !request.accelerator.isEmpty else { return .cpu }
        guard let known = Accelerator(rawValue: request.accelerator),
            Accelerator.offered.contains(known)
        else {
            let words = Accelerator.offered.map(\.rawValue).joined(separator: ", ")
            throw authority.denied(
                caller,
                "accelerator \(PlainText.quoted(request.accelerator, byteLimit: 40)) is none of \(words)"
            )
        }
        return known
    }

    /// Answers when there is a job or the wait is over.
    func acquire(
        _ request: AcquireLeaseRequest,
        by principal: Principal
    ) async throws -> AcquireLeaseResponse {
        let caller = Caller(principal, .acquireLease)
        let holder = try authority.holder(
            boot: request.bootID,
            instance: request.instance,
            caller
        )
        // Others' words, for a line of status.
        let obstacle =
            request.obstacle.isEmpty ? nil : PlainText.bounded(request.obstacle, limit: 200)
        let seconds = request.stopping ? 0 : request.waitSeconds
        let lease = try await poll(JobEngine.queueTopic, seconds: seconds) {
            // Again after every wait: the policy may be another one.
            try authority.admit(caller)
            let lease = try await engine.acquire(
                holder,
                obstacle: obstacle,
                isStopping: request.stopping,
                isConnected: principal.isConnected
            )
            return (lease, isWanted: lease != nil)
        }
        if let lease {
            authority.audit.allow(caller, "job \(lease.jobID), epoch \(lease.epoch)")
            if lease.attempt > 1 { try await tellAttemptBefore(lease) }
        }
        return AcquireLeaseResponse(lease: lease)
    }

    /// Writes to a job's log how the attempt before ended; nobody else writes there until the lease is handed out.
    private func tellAttemptBefore(_ lease: Lease) async throws {
        let job = try await engine.store.job(lease.jobID).job
        guard job.epoch == Int64(clamping: lease.epoch), let words = job.attemptBefore else {
            return
        }
        do {
            let end = try logs.append(lease.jobID, offset: .max, [])
            _ = try logs.append(lease.jobID, offset: end, Array((words + "\n").utf8))
        } catch {
            engine.remarks.tell(StoreError.sentence(of: error))
        }
        engine.hub.signal(lease.jobID)
    }

    /// Extends a lease and keeps what its holder tells.
    func heartbeat(
        _ request: HeartbeatRequest,
        by principal: Principal
    ) async throws -> HeartbeatResponse {
        let caller = Caller(principal, .heartbeat)
        let claim = try claim(request.epoch, request.bootID, request.instance, caller)
        let directive = try await engine.heartbeat(
            request.jobID,
            claim,
            request.events,
            knowsPause: request.knowsPause,
            isConnected: principal.isConnected
        )
        if directive == .lost {
            await denyLease(request.jobID, claim, caller)
        }
        return HeartbeatResponse(directive: directive)
    }

    /// Adds to the log of a leased job.
    func appendLog(
        _ request: AppendLogRequest,
        by principal: Principal
    ) async throws -> AppendLogResponse {
        let caller = Caller(principal, .appendLog)
        let claim = try claim(request.epoch, request.bootID, nil, caller)
        guard try await engine.holds(request.jobID, claim) else {
            await denyLease(request.jobID, claim, caller)
            throw StoreError(
                .invalidState,
                "the lease on job \(PlainText.quoted(request.jobID)) is lost"
            )
        }
        let end = try logs.append(request.jobID, offset: request.offset, request.data)
        engine.hub.signal(request.jobID)
        return AppendLogResponse(nextOffset: end)
    }

    /// Ends an attempt.
    func complete(
        _ request: CompleteLeaseRequest,
        by principal: Principal
    ) async throws -> CompleteLeaseResponse {
        let caller = Caller(principal, .completeLease)
        let holder = try authority.holder(boot: request.bootID, caller)
        var freed: Set<SHA256Digest> = []
        var isChange = false
        // Held until the job refers to them: nothing goes between the look and the commit.
        let outputs = Set(request.outputs.map(\.digest))
        let verdict = try await artifacts.custody.holding(outputs) {
            try await engine.complete(
                request,
                by: holder,
                checkStored: { outputs in
                    try await checkStored(outputs, of: request.jobID, by: holder.worker)
                },
                isMissing: { digests in
                    try artifacts.requirePresence()
                    return !artifacts.missing(Array(digests)).isEmpty
                },
                onChange: { isChange = true },
                onSuccess: { freed = $0 }
            )
        }
        switch verdict {
        case .accepted:
            // Told again, it is accepted again, and changes nothing.
            if isChange { authority.audit.allow(caller, "job \(request.jobID) \(request.outcome)") }
            await collect(freed)
        case .refused(let rule):
            authority.audit.deny(caller, "\(rule): \(request.outcome)")
        case .leaseLost:
            denyLease(request.jobID, request.epoch, caller)
        }
        return CompleteLeaseResponse(accepted: verdict == .accepted)
    }

    /// Answers when the worker is to do something else, or the wait is over.
    func awaitDirective(
        _ request: AwaitDirectiveRequest,
        by principal: Principal
    ) async throws -> HeartbeatResponse {
        let caller = Caller(principal, .awaitDirective)
        let claim = try claim(request.epoch, request.bootID, request.instance, caller)
        let directive = try await poll(request.jobID, seconds: request.waitSeconds) {
            try authority.admit(caller)
            let directive = try await engine.directive(
                request.jobID,
                claim,
                knowsPause: request.knowsPause
            )
            if directive == .lost {
                await denyLease(request.jobID, claim, caller)
            }
            return (directive, isWanted: directive != request.known)
        }
        return HeartbeatResponse(directive: directive)
    }

    /// Looks at something, and again whenever a topic changes, until it is as wanted, the time (30 s at
    /// most) is up, or the gateway stops; returns what was found last.
    private func poll<Found>(
        _ topic: String,
        seconds: UInt32,
        _ look: () async throws -> (found: Found, isWanted: Bool)
    ) async throws -> Found {
        // The subscription comes before the look: a change in between is not missed.
        let changes = engine.hub.subscribe(topic)
        let deadline = ContinuousClock.now + .seconds(Int64(min(seconds, 30)))
        while true {
            let (found, isWanted) = try await look()
            if isWanted || ContinuousClock.now >= deadline { return found }
            guard await Self.wait(for: changes, until: deadline) else { return found }
            try Task.checkCancellation()
        }
    }

    /// Waits for a change, which the stream keeps until somebody looks, or for a deadline; false when
    /// the gateway stops.
    private static func wait(
        for changes: AsyncStream<Void>,
        until deadline: ContinuousClock.Instant
    ) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await _ in changes { return true }
                return Task.isCancelled
            }
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                return true
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }

    /// Names a job's newest checkpoint.
    func saveCheckpoint(
        _ request: SaveCheckpointRequest,
        by principal: Principal
    ) async throws -> SaveCheckpointResponse {
        let caller = Caller(principal, .saveCheckpoint)
        let claim = try claim(request.epoch, request.bootID, request.instance, caller)
        guard let checkpoint = request.checkpoint else {
            throw StoreError(.invalidArgument, "the call names no checkpoint")
        }
        guard try await engine.holds(request.jobID, claim) else {
            await denyLease(request.jobID, claim, caller)
            return SaveCheckpointResponse(accepted: false)
        }
        let files = Set(checkpoint.files.map(\.digest))
        let freed = try await artifacts.custody.holding(files) {
            try await engine.saveCheckpoint(request.jobID, claim, checkpoint) { files in
                try await checkStored(files, of: request.jobID, by: claim.holder.worker)
            }
        }
        await collect(freed ?? [])
        return SaveCheckpointResponse(accepted: freed != nil)
    }

    /// Says which of the files that a worker keeps nobody needs.
    func review(
        _ request: ReviewKeptRequest,
        by principal: Principal
    ) async throws -> ReviewKeptResponse {
        let worker = try authority.holder(
            boot: request.bootID,
            instance: request.instance,
            Caller(principal, .reviewKept)
        ).worker
        guard request.jobs.count <= KeptWork.questionLimit else {
            throw StoreError(
                .invalidArgument,
                "a call names \(KeptWork.questionLimit) jobs at most, not \(request.jobs.count)"
            )
        }
        var response = ReviewKeptResponse()
        for kept in request.jobs {
            switch try await standing(of: kept, at: worker) {
            case .stored: response.stored.append(kept.jobID)
            case .over: response.over.append(kept.jobID)
            case .needed: break
            }
        }
        return response
    }

    private func standing(
        of kept: KeptJob,
        at worker: WorkerIdentity
    ) async throws -> KeptWork {
        let job: Job?
        do {
            job = try await engine.store.job(kept.jobID).job
        } catch let error as StoreError where error.code == .notFound {
            job = nil
        } catch let error as StoreError where error.code == .corrupt {
            return .needed
        }
        // Of others' kinds it learns nothing.
        if let job, !worker.role.kinds.contains(job.kind) { return .needed }
        return KeptWork(of: job, step: kept.step, isFinished: kept.isFinished, at: worker)
    }

    /// Removes what was a checkpoint and is needed by nobody else.
    private func collect(_ digests: Set<SHA256Digest>) async {
        _ = await engine.afterwards("files of an earlier checkpoint") {
            try await ArtifactCollector(engine: engine, artifacts: artifacts)
                .collect(digests, GrantExpiry(before: engine.now.unix - retention.uploads))
        }
    }

    /// The lease that a call shows, held by whom its certificate names.
    private func claim(
        _ epoch: UInt64,
        _ boot: String,
        _ instance: String?,
        _ caller: Caller
    ) throws -> LeaseClaim {
        LeaseClaim(
            epoch: Int64(clamping: epoch),
            holder: try authority.holder(boot: boot, instance: instance, caller)
        )
    }

    /// Notes that a caller does not hold the lease that it shows, unless it was its own, and ended while the
    /// call was under way: every end has such calls.
    private func denyLease(_ job: String, _ claim: LeaseClaim, _ caller: Caller) async {
        // In a task of its own: the holder takes a call back when its attempt has ended.
        let known = try? await Task { try await engine.store.job(job).job }.value
        guard known?.epoch != claim.epoch || known?.holder != claim.holder else { return }
        denyLease(job, UInt64(clamping: claim.epoch), caller)
    }

    private func denyLease(_ job: String, _ epoch: UInt64, _ caller: Caller) {
        authority.audit.deny(
            caller,
            "holds no lease of epoch \(epoch) on job \(PlainText.quoted(job))"
        )
    }

    /// Outputs must be stored, and be what this worker brought or got for the job: a digest that it
    /// merely names would open somebody else's artifact to the job's owner.
    private func checkStored(
        _ outputs: [OutputFile],
        of job: String,
        by worker: WorkerIdentity
    ) async throws {
        // An end without outputs needs no store: it is taken while that is away.
        guard !outputs.isEmpty else { return }
        try artifacts.requirePresence()
        let digests = Set(outputs.map(\.digest))
        let own = try await engine.store.granted(digests, to: Grant.holder(worker))
        let given = try await engine.store.inputs(among: digests, of: [job])
        let missing = outputs.filter { output in
            !(own.contains(output.digest) || given.contains(output.digest))
                || artifacts.size(output.digest) != output.size
        }
        guard missing.isEmpty else {
            let names = missing.prefix(5).map { "\($0.name) (sha256:\($0.digest.hex))" }
            throw StoreError(
                .missingArtifacts,
                "outputs not stored: \(names.joined(separator: ", "))"
            )
        }
    }
}
