internal import Jobs
internal import Protocol

/// The artifact store for users and workers.
///
/// Open to a caller is what it brought, and what its jobs refer to; a digest alone opens nothing.
struct BlobHandlers: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let authority: Authority

    func add(to router: inout RPCRouter) {
        router.unary(QatMethods.findMissing, allow: [.users, .workers]) { request, context in
            try await mapped {
                let open = try await opened(Set(request.digests), context)
                return FindMissingResponse(
                    digests: request.digests.filter {
                        !open.contains($0) || artifacts.size($0) == nil
                    }
                )
            }
        }
        router.blobUpload(QatMethods.putBlob, allow: [.users, .workers]) { request, blob, context in
            try await mapped { try await put(request, blob, context) }
        }
        router.blobDownload(QatMethods.getBlob, allow: [.users, .workers]) {
            request,
            context,
            writer in
            try await mapped { try await download(request, context, writer) }
        }
    }

    /// Stores a blob, which proves that the caller has it, and opens it to the caller.
    ///
    /// A blob that is there already is taken again: whoever knows no more than its digest gets
    /// nothing by naming it.
    private func put(
        _ request: PutBlobRequest,
        _ blob: BlobReader,
        _ context: CallContext
    ) async throws -> PutBlobResponse {
        guard blob.offset == 0, blob.digest == request.digest, blob.size == request.size else {
            throw StoreError(.invalidArgument, "the blob is not the one announced")
        }
        let holder = try await uploader(request.size, context)
        try await artifacts.put(request.digest, size: request.size, chunks: blob)
        try await engine.store.grant(request.digest, size: request.size, to: holder)
        return PutBlobResponse(size: request.size)
    }

    /// Who uploads, once their quota has room, or they hold a lease.
    private func uploader(_ size: UInt64, _ context: CallContext) async throws -> String {
        guard case .user = context.peer.subject else {
            let worker = try authority.worker(context)
            guard !(try await engine.store.leases(of: worker).isEmpty) else {
                throw authority.denied(context, "\(worker) holds no lease")
            }
            return Grant.holder(worker)
        }
        let user = try authority.user(context)
        if let limit = authority.policy.quota(of: user.name).bytes {
            let used = try await engine.store.byteCount(of: Grant.holder(user: user.name))
            guard UInt64(clamping: used) + size <= UInt64(clamping: limit) else {
                throw StoreError(
                    .quota,
                    "\(user.name) has \(used) bytes of artifacts; \(size) more exceed the quota "
                        + "of \(limit)"
                )
            }
        }
        return Grant.holder(user: user.name)
    }

    /// Those of some digests that are open to the caller.
    private func opened(
        _ digests: Set<SHA256Digest>,
        _ context: CallContext
    ) async throws -> Set<SHA256Digest> {
        guard case .user = context.peer.subject else {
            let worker = try authority.worker(context)
            let jobs = try await engine.store.leases(of: worker)
            let own = try await engine.store.granted(digests, to: Grant.holder(worker))
            return own.union(try await engine.store.inputs(among: digests, of: jobs))
        }
        let user = try authority.user(context)
        if user.seesAll { return digests }
        return try await engine.store.granted(digests, to: Grant.holder(user: user.name))
    }

    private func download(
        _ request: GetBlobRequest,
        _ context: CallContext,
        _ writer: BlobWriter
    ) async throws {
        guard try await opened([request.digest], context).contains(request.digest),
            let size = artifacts.size(request.digest)
        else {
            authority.audit.deny(context, "sha256:\(request.digest.hex) is not open to the caller")
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

/// To whom an artifact is open.
enum Grant {
    /// A user's name among those that artifacts are open to.
    static func holder(user: String) -> String { "user/\(user)" }
    /// A worker's.
    static func holder(_ worker: WorkerIdentity) -> String { "svc/\(worker)" }
}
