internal import Jobs
internal import Protocol

// The artifact store for users and workers. Open to a caller is what it brought, and what its jobs refer
// to; a digest alone opens nothing.
extension GatewayAPI {
    /// Those of some artifacts that the principal would have to bring.
    func missingBlobs(
        _ request: FindMissingRequest,
        by principal: Principal
    ) async throws -> FindMissingResponse {
        let open = try await renewed(Set(request.digests), Caller(principal, .findMissing))
        try artifacts.requirePresence()
        return FindMissingResponse(
            digests: request.digests.filter { !open.contains($0) || artifacts.size($0) == nil }
        )
    }

    /// Stores a blob, which proves that the caller has it, and opens it to the caller.
    ///
    /// A blob that is there already is taken again: whoever knows no more than its digest gets
    /// nothing by naming it.
    func putBlob(
        _ request: PutBlobRequest,
        chunks: some AsyncSequence<[UInt8], any Error>,
        by principal: Principal
    ) async throws -> PutBlobResponse {
        let caller = Caller(principal, .putBlob)
        let holder = try await uploader(of: request, caller)
        let permit = try await Permit(authority.policies) { try authority.admit(caller) }
        // Counted while they come, so that many at once do not each find room in the quota.
        defer { uploads.end(holder, byteCount: request.size) }
        try await artifacts.custody.holding(request.digest) {
            try await artifacts.put(
                request.digest,
                size: request.size,
                chunks: PermittedSequence(base: chunks, permit: permit)
            )
            try await engine.store.grant([
                JobBatch.Opening(
                    holder: holder,
                    digest: request.digest,
                    size: request.size,
                    brought: engine.now.unix
                )
            ])
        }
        return PutBlobResponse(size: request.size)
    }

    /// Who uploads, once their quota has room, or they hold a lease.
    private func uploader(of request: PutBlobRequest, _ caller: Caller) async throws -> String {
        let size = request.size
        guard case .user = caller.principal.identity.subject else {
            let worker = try authority.worker(caller)
            guard !(try await engine.store.leases(of: worker).isEmpty) else {
                throw authority.denied(caller, "\(worker) holds no lease")
            }
            try uploads.begin(Grant.holder(worker), byteCount: size, room: nil)
            return Grant.holder(worker)
        }
        let user = try authority.user(caller)
        let holder = Grant.holder(user: user.name)
        // What they brought before counts already: putting it again, as to repair it, takes no more.
        let isKnown = try await engine.store.granted([request.digest], to: holder)
            .contains(request.digest)
        try await takeRoom(size, beside: isKnown ? size : 0, of: user.name)
        return holder
    }

    /// Counts bytes that come to a user as under way, once their quota has room for them.
    ///
    /// `counted`: Bytes among those that are theirs already.
    ///
    /// - Throws: ``StoreError`` (`quota`; `busy` for too many at once).
    private func takeRoom(_ size: UInt64, beside counted: UInt64, of user: String) async throws {
        let holder = Grant.holder(user: user)
        while true {
            var room: UInt64?
            let endedCount = uploads.endedCount
            if let limit = authority.policy.quota(of: user).bytes {
                let all = UInt64(clamping: try await engine.store.byteCount(of: holder))
                let used = all - min(all, counted)
                let limit = UInt64(clamping: limit)
                room = limit > used ? limit - used : 0
            }
            let isTaken = try uploads.begin(
                holder,
                byteCount: size,
                room: room,
                endedCount: room == nil ? nil : endedCount
            )
            if isTaken { return }
        }
    }

    /// Those of some digests that are open to the caller, who is about to use them: they stay as if they
    /// had been brought now.
    private func renewed(
        _ digests: Set<SHA256Digest>,
        _ caller: Caller
    ) async throws -> Set<SHA256Digest> {
        guard case .user = caller.principal.identity.subject else {
            let own = Grant.holder(try authority.worker(caller))
            _ = try await engine.store.renew(digests, of: own, at: engine.now.unix)
            return try await opened(digests, caller)
        }
        let user = try authority.user(caller)
        let holder = Grant.holder(user: user.name)
        let own = try await engine.store.renew(digests, of: holder, at: engine.now.unix)
        return user.seesAll
            ? own.union(try await brought(digests.subtracting(own), user.name)) : own
    }

    /// Those of some artifacts, all of which are open to a user, that are there: theirs from now on as if
    /// they had brought them, so that they stay whatever others do with theirs.
    ///
    /// - Throws: ``StoreError`` (`quota`): they count as what was brought, and none is theirs if all of them
    ///   together are too much.
    private func brought(
        _ digests: Set<SHA256Digest>,
        _ user: String
    ) async throws -> Set<SHA256Digest> {
        let holder = Grant.holder(user: user)
        try artifacts.requirePresence()
        // Nobody removes one of them while it is being opened.
        return try await artifacts.custody.holding(digests) {
            let size = digests.reduce(0) { $0 + (artifacts.size($1) ?? 0) }
            try await takeRoom(size, beside: 0, of: user)
            defer { uploads.end(holder, byteCount: size) }
            let openings = digests.compactMap { digest in
                artifacts.size(digest).map {
                    JobBatch.Opening(
                        holder: holder,
                        digest: digest,
                        size: $0,
                        brought: engine.now.unix
                    )
                }
            }
            if !openings.isEmpty { try await engine.store.grant(openings) }
            return Set(openings.map(\.digest))
        }
    }

    /// Those of some digests that are open to the caller.
    private func opened(
        _ digests: Set<SHA256Digest>,
        _ caller: Caller
    ) async throws -> Set<SHA256Digest> {
        guard case .user = caller.principal.identity.subject else {
            let worker = try authority.worker(caller)
            let jobs = try await engine.store.leases(of: worker)
            let own = try await engine.store.granted(digests, to: Grant.holder(worker))
            return own.union(try await engine.store.inputs(among: digests, of: jobs))
        }
        let user = try authority.user(caller)
        if user.seesAll { return digests }
        return try await engine.store.granted(digests, to: Grant.holder(user: user.name))
    }

    /// An artifact that is open to the principal, ready to be read.
    func blob(_ request: GetBlobRequest, by principal: Principal) async throws -> OpenBlob {
        let caller = Caller(principal, .getBlob)
        let (permit, size) = try await Permit.asking(authority.policies) {
            try await openSize(request.digest, caller)
        }
        guard request.offset <= size else {
            throw StoreError(.invalidArgument, "offset \(request.offset) is beyond \(size) bytes")
        }
        return OpenBlob(request: request, size: size, artifacts: artifacts, permit: permit)
    }

    /// The size of an artifact that is open to the caller.
    private func openSize(_ digest: SHA256Digest, _ caller: Caller) async throws -> UInt64 {
        let isOpen = try await opened([digest], caller).contains(digest)
        if isOpen, let size = artifacts.size(digest) { return size }
        // Told alike to the caller: what is not theirs is answered as what is not there.
        try artifacts.requirePresence()
        authority.audit.deny(
            caller,
            "sha256:\(digest.hex) is \(isOpen ? "not stored" : "not open to the caller")"
        )
        throw StoreError(.notFound, "no artifact sha256:\(digest.hex)")
    }
}

/// An artifact that its reader may have.
struct OpenBlob: Sendable {
    let request: GetBlobRequest
    /// Length of the whole artifact, in bytes.
    let size: UInt64
    let artifacts: ArtifactStore
    let permit: Permit

    /// Hands over the range that was asked for, in pieces.
    func read(_ onChunk: ([UInt8]) async throws -> Void) async throws {
        var permit = permit
        try await artifacts.read(
            request.digest,
            offset: request.offset,
            length: request.length,
            onChunk: { chunk in
                try await permit.renew()
                try await onChunk(chunk)
            }
        )
    }
}

/// To whom an artifact is open.
enum Grant {
    /// A user's name among those that artifacts are open to.
    static func holder(user: String) -> String { userPrefix + user }
    /// Whether a holder is a user.
    static func isUser(_ holder: String) -> Bool { holder.hasPrefix(userPrefix) }

    private static let userPrefix = "user/"
    /// A worker's.
    static func holder(_ worker: WorkerIdentity) -> String { "svc/\(worker)" }
}
