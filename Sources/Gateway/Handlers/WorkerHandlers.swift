internal import Foundation
internal import Jobs
internal import Protocol

/// What workers ask: leases, and a place for what they made.
struct WorkerHandlers: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let logs: JobLogStore

    func add(to router: inout RPCRouter) {
        router.unary(QatMethods.registerWorker, allow: .workers) { request, context in
            try await mapped { try await register(request, context) }
        }
        router.unary(QatMethods.acquireLease, allow: .workers) { request, context in
            try await mapped { try await acquire(request, context) }
        }
        router.unary(QatMethods.heartbeat, allow: .workers) { request, context in
            try await mapped {
                let claim = try claim(request.epoch, request.bootID, context)
                try checkInstance(request.instance, context)
                return HeartbeatResponse(
                    directive: try await engine.heartbeat(request.jobID, claim, request.events)
                )
            }
        }
        router.unary(QatMethods.appendLog, allow: .workers) { request, context in
            try await mapped { try await appendLog(request, context) }
        }
        router.unary(QatMethods.completeLease, allow: .workers) { request, context in
            try await mapped {
                if request.outcome == .succeeded || !request.outputs.isEmpty {
                    try checkOutputs(request.outputs)
                }
                let holder = try holder(request.bootID, context)
                return CompleteLeaseResponse(
                    accepted: try await engine.complete(request, by: holder)
                )
            }
        }
        router.unary(QatMethods.findMissing, allow: [.users, .workers]) { request, _ in
            FindMissingResponse(digests: artifacts.missing(request.digests))
        }
        router.blobUpload(QatMethods.putBlob, allow: [.users, .workers]) { request, blob, _ in
            try await mapped {
                guard blob.offset == 0, blob.digest == request.digest, blob.size == request.size
                else {
                    throw StoreError(.invalidArgument, "the blob is not the one announced")
                }
                // Also where the store has it: the right bytes repair a damaged file.
                try await artifacts.put(request.digest, size: request.size, chunks: blob)
                return PutBlobResponse(size: request.size)
            }
        }
        router.blobDownload(QatMethods.getBlob, allow: [.users, .workers]) { request, _, writer in
            try await mapped { try await download(request, writer) }
        }
    }

    private func register(
        _ request: RegisterWorkerRequest,
        _ context: CallContext
    ) async throws -> RegisterWorkerResponse {
        try checkInstance(request.instance, context)
        guard context.peer.role == request.role else {
            throw StoreError(
                .invalidArgument,
                "role \(request.role) is not the certificate's \(context.peer.role ?? "none")"
            )
        }
        try await engine.register(try worker(request, context))
        let seconds = Double(engine.lifecycle.leaseDuration) / 1000
        return RegisterWorkerResponse(
            leaseSeconds: UInt32(seconds.rounded(.up)),
            heartbeatSeconds: UInt32(max(1, (seconds / 6).rounded(.down)))
        )
    }

    private func worker(_ request: RegisterWorkerRequest, _ context: CallContext) throws -> Worker {
        let kinds = request.kinds.compactMap(Kind.init(rawValue:))
        guard kinds.count == request.kinds.count, kinds.count < 17 else {
            throw StoreError(.invalidArgument, "a worker names up to 16 kinds of job")
        }
        for text in [request.bootID, request.address, request.version] {
            if let fault = PlainText.fault(in: text, byteLimit: 128) {
                throw StoreError(.invalidArgument, "\(PlainText.quoted(text)) \(fault)")
            }
        }
        let identity = try identity(context)
        let accelerator = Accelerator(rawValue: request.accelerator) ?? .cpu
        return Worker(
            identity: identity,
            boot: request.bootID,
            address: request.address,
            offer: Offer(
                kinds: kinds,
                accelerator: accelerator,
                devices: max(1, Int(request.devices)),
                nodes: max(1, Int(request.nodes))
            ),
            cores: Int64(request.cores),
            memory: Int64(clamping: request.memoryBytes),
            version: request.version,
            registered: engine.now.unix
        )
    }

    /// Which worker calls, as its certificate says.
    private func identity(_ context: CallContext) throws -> WorkerIdentity {
        guard case .service(let name, let instance) = context.peer.subject,
            let role = Role(rawValue: name), role.isWorker
        else {
            throw RPCError(.permissionDenied, "\(context.peer) is no worker")
        }
        return WorkerIdentity(role: role, instance: instance)
    }

    private func holder(_ boot: String, _ context: CallContext) throws -> LeaseHolder {
        LeaseHolder(worker: try identity(context), boot: boot)
    }

    private func claim(
        _ epoch: UInt64,
        _ boot: String,
        _ context: CallContext
    ) throws -> LeaseClaim {
        LeaseClaim(epoch: Int64(clamping: epoch), holder: try holder(boot, context))
    }

    /// A worker speaks for the instance in its certificate only.
    private func checkInstance(_ instance: String, _ context: CallContext) throws {
        guard case .service(_, let certified) = context.peer.subject, certified == instance else {
            throw RPCError(
                .permissionDenied,
                "\(context.peer) may not speak for instance \(instance)"
            )
        }
    }

    /// Answers when there is a job or the wait is over.
    private func acquire(
        _ request: AcquireLeaseRequest,
        _ context: CallContext
    ) async throws -> AcquireLeaseResponse {
        try checkInstance(request.instance, context)
        let holder = try holder(request.bootID, context)
        let changes = engine.hub.subscribe(JobEngine.queueTopic)
        let deadline = ContinuousClock.now + .seconds(Int64(min(request.waitSeconds, 30)))
        while true {
            let lease = try await engine.acquire(holder)
            if lease != nil || ContinuousClock.now >= deadline {
                return AcquireLeaseResponse(lease: lease)
            }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { for await _ in changes { return } }
                group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }
                await group.next()
                group.cancelAll()
            }
            try Task.checkCancellation()
        }
    }

    private func appendLog(
        _ request: AppendLogRequest,
        _ context: CallContext
    ) async throws -> AppendLogResponse {
        let claim = try claim(request.epoch, request.bootID, context)
        guard try await engine.holds(request.jobID, claim) else {
            throw StoreError(.invalidState, "the lease on job \(request.jobID) is lost")
        }
        let end = try logs.append(request.jobID, offset: request.offset, request.data)
        engine.hub.signal(request.jobID)
        return AppendLogResponse(nextOffset: end)
    }

    private func checkOutputs(_ outputs: [OutputFile]) throws {
        let missing = outputs.filter { artifacts.size($0.digest) != $0.size }
        guard missing.isEmpty else {
            let names = missing.prefix(5).map { "\($0.name) (sha256:\($0.digest.hex))" }
            throw StoreError(
                .missingArtifacts,
                "outputs not stored: \(names.joined(separator: ", "))"
            )
        }
    }

    private func download(_ request: GetBlobRequest, _ writer: BlobWriter) async throws {
        guard let size = artifacts.size(request.digest) else {
            throw StoreError(.notFound, "no artifact sha256:\(request.digest.hex)")
        }
        guard request.offset <= size else {
            throw StoreError(.invalidArgument, "offset \(request.offset) is beyond \(size) bytes")
        }
        try writer.begin(digest: request.digest, size: size, offset: request.offset)
        try await artifacts.read(request.digest, offset: request.offset, length: request.length) {
            try await writer.write($0)
        }
    }
}
