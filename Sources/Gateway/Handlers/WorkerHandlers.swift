internal import Foundation
internal import Jobs
internal import Protocol

/// What workers ask: leases, and to have what they tell kept.
///
/// Who calls is what its certificate says; a call that shows another's lease changes nothing.
struct WorkerHandlers: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let logs: JobLogStore
    let authority: Authority

    func add(to router: inout RPCRouter) {
        router.unary(QatMethods.registerWorker, allow: .workers) { request, context in
            try await mapped { try await register(request, context) }
        }
        router.unary(QatMethods.acquireLease, allow: .workers) { request, context in
            try await mapped { try await acquire(request, context) }
        }
        router.unary(QatMethods.heartbeat, allow: .workers) { request, context in
            try await mapped { try await heartbeat(request, context) }
        }
        router.unary(QatMethods.awaitDirective, allow: .workers) { request, context in
            try await mapped { try await awaitDirective(request, context) }
        }
        router.unary(QatMethods.saveCheckpoint, allow: .workers) { request, context in
            try await mapped { try await saveCheckpoint(request, context) }
        }
        router.unary(QatMethods.appendLog, allow: .workers) { request, context in
            try await mapped { try await appendLog(request, context) }
        }
        router.unary(QatMethods.completeLease, allow: .workers) { request, context in
            try await mapped { try await complete(request, context) }
        }
    }

    private func register(
        _ request: RegisterWorkerRequest,
        _ context: CallContext
    ) async throws -> RegisterWorkerResponse {
        let holder = try authority.holder(
            boot: request.bootID,
            instance: request.instance,
            context
        )
        guard request.role == holder.worker.role.rawValue else {
            throw authority.denied(
                context,
                "role \(PlainText.quoted(request.role)) is not the certificate's"
            )
        }
        let kinds = request.kinds.compactMap(Kind.init(rawValue:))
        guard kinds.count == request.kinds.count,
            kinds.allSatisfy(holder.worker.role.kinds.contains)
        else {
            let asked = request.kinds.prefix(8).map { PlainText.quoted($0, byteLimit: 40) }
            throw authority.denied(
                context,
                "role \(holder.worker.role.rawValue) runs no jobs of kinds "
                    + asked.joined(separator: ", ")
            )
        }
        for text in [request.bootID, request.address, request.version] {
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
                accelerator: Accelerator(rawValue: request.accelerator) ?? .cpu,
                devices: max(1, Int(request.devices)),
                nodes: max(1, Int(request.nodes))
            ),
            cores: Int64(request.cores),
            memory: Int64(clamping: request.memoryBytes),
            version: request.version,
            registered: engine.now.unix
        )
        do {
            try await engine.register(worker, isConnected: context.isConnected)
        } catch let error as StoreError where error.code == .alreadyExists {
            authority.audit.deny(context, error.message)
            throw error
        }
        authority.audit.allow(context, "\(holder.worker) is process \(holder.boot)")
        let seconds = Double(engine.lifecycle.leaseDuration) / 1000
        return RegisterWorkerResponse(
            leaseSeconds: UInt32(seconds.rounded(.up)),
            heartbeatSeconds: UInt32(max(1, (seconds / 6).rounded(.down)))
        )
    }

    /// Answers when there is a job or the wait is over.
    private func acquire(
        _ request: AcquireLeaseRequest,
        _ context: CallContext
    ) async throws -> AcquireLeaseResponse {
        let holder = try authority.holder(
            boot: request.bootID,
            instance: request.instance,
            context
        )
        let changes = engine.hub.subscribe(JobEngine.queueTopic)
        let deadline = ContinuousClock.now + .seconds(Int64(min(request.waitSeconds, 30)))
        while true {
            let lease = try await engine.acquire(
                holder,
                isConnected: context.isConnected
            )
            if let lease {
                authority.audit.allow(context, "job \(lease.jobID), epoch \(lease.epoch)")
            }
            if lease != nil || ContinuousClock.now >= deadline {
                return AcquireLeaseResponse(lease: lease)
            }
            await Self.wait(for: changes, until: deadline)
            try Task.checkCancellation()
        }
    }

    private func heartbeat(
        _ request: HeartbeatRequest,
        _ context: CallContext
    ) async throws -> HeartbeatResponse {
        let claim = try claim(request.epoch, request.bootID, request.instance, context)
        let directive = try await engine.heartbeat(
            request.jobID,
            claim,
            request.events,
            isConnected: context.isConnected
        )
        if directive == .lost {
            denyLease(request.jobID, request.epoch, context)
        }
        return HeartbeatResponse(directive: directive)
    }

    private func appendLog(
        _ request: AppendLogRequest,
        _ context: CallContext
    ) async throws -> AppendLogResponse {
        let claim = try claim(request.epoch, request.bootID, nil, context)
        guard try await engine.holds(request.jobID, claim) else {
            denyLease(request.jobID, request.epoch, context)
            throw StoreError(
                .invalidState,
                "the lease on job \(PlainText.quoted(request.jobID)) is lost"
            )
        }
        let end = try logs.append(request.jobID, offset: request.offset, request.data)
        engine.hub.signal(request.jobID)
        return AppendLogResponse(nextOffset: end)
    }

    private func complete(
        _ request: CompleteLeaseRequest,
        _ context: CallContext
    ) async throws -> CompleteLeaseResponse {
        let holder = try authority.holder(boot: request.bootID, context)
        let isAccepted = try await engine.complete(request, by: holder) { outputs in
            try await checkStored(outputs, of: request.jobID, by: holder.worker)
        }
        if isAccepted {
            authority.audit.allow(context, "job \(request.jobID) \(request.outcome)")
        } else {
            denyLease(request.jobID, request.epoch, context)
        }
        return CompleteLeaseResponse(accepted: isAccepted)
    }

    /// Answers when the worker is to do something else, or the wait is over.
    private func awaitDirective(
        _ request: AwaitDirectiveRequest,
        _ context: CallContext
    ) async throws -> HeartbeatResponse {
        let claim = try claim(request.epoch, request.bootID, request.instance, context)
        let changes = engine.hub.subscribe(request.jobID)
        let deadline = ContinuousClock.now + .seconds(Int64(min(request.waitSeconds, 30)))
        while true {
            let directive = try await engine.directive(request.jobID, claim)
            if directive == .lost {
                denyLease(request.jobID, request.epoch, context)
            }
            if directive != request.known || ContinuousClock.now >= deadline {
                return HeartbeatResponse(directive: directive)
            }
            await Self.wait(for: changes, until: deadline)
            try Task.checkCancellation()
        }
    }

    /// Waits for a change, which the stream keeps until somebody looks, or for a deadline.
    private static func wait(
        for changes: AsyncStream<Void>,
        until deadline: ContinuousClock.Instant
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in changes { return } }
            group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }
            await group.next()
            group.cancelAll()
        }
    }

    private func saveCheckpoint(
        _ request: SaveCheckpointRequest,
        _ context: CallContext
    ) async throws -> SaveCheckpointResponse {
        let claim = try claim(request.epoch, request.bootID, request.instance, context)
        guard let checkpoint = request.checkpoint else {
            throw StoreError(.invalidArgument, "the call names no checkpoint")
        }
        guard try await engine.holds(request.jobID, claim) else {
            denyLease(request.jobID, request.epoch, context)
            return SaveCheckpointResponse(accepted: false)
        }
        let freed = try await engine.saveCheckpoint(request.jobID, claim, checkpoint) { files in
            try await checkStored(files, of: request.jobID, by: claim.holder.worker)
        }
        for digest in freed ?? [] {
            try artifacts.remove(digest)
        }
        return SaveCheckpointResponse(accepted: freed != nil)
    }

    /// The lease that a call shows, held by whom its certificate names.
    private func claim(
        _ epoch: UInt64,
        _ boot: String,
        _ instance: String?,
        _ context: CallContext
    ) throws -> LeaseClaim {
        LeaseClaim(
            epoch: Int64(clamping: epoch),
            holder: try authority.holder(boot: boot, instance: instance, context)
        )
    }

    private func denyLease(_ job: String, _ epoch: UInt64, _ context: CallContext) {
        authority.audit.deny(
            context,
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
