internal import Jobs
internal import Protocol

// What goes: jobs that are over, artifacts that nobody needs.
extension GatewayAPI {
    /// What the gateway does away with by itself.
    var sweep: RetentionSweep {
        RetentionSweep(engine: engine, artifacts: artifacts, logs: logs, policy: retention)
    }

    /// Openings of artifacts that end at this moment; none for their age while the clock is not to be trusted.
    private var expiry: GrantExpiry {
        clock.admits(engine.now.unix) ? sweep.expiry : .ofNothingBrought
    }

    /// Removes a job that is over, or all jobs of a pipeline that is.
    func remove(
        _ request: RemoveJobRequest,
        by principal: Principal
    ) async throws -> RemoveJobResponse {
        let caller = Caller(principal, .removeJob)
        let removal = JobRemoval(engine: engine, artifacts: artifacts, logs: logs)
        let isPipeline = PipelineID.isPipeline(request.jobID)
        // Before anything goes: what a job had could not be removed with it.
        try artifacts.requireUse()
        let gone: JobRemoval.Gone
        let user: User
        if isPipeline {
            user = try await self.user(caller, to: .act, pipeline: request.jobID)
            gone = try await removal.removePipeline(request.jobID, expiry)
        } else {
            user = try await self.user(caller, to: .act, request.jobID)
            gone = try await removal.remove(request.jobID, expiry)
        }
        authority.audit.allow(caller, "\(isPipeline ? "pipeline" : "job") \(request.jobID)")
        var response = RemoveJobResponse(
            jobID: request.jobID,
            freedBytes: gone.artifacts.reduce(gone.logBytes) { $0 + $1.size }
        )
        try await tell(gone.kept, to: user, in: &response)
        return response
    }

    /// Tells a user what stays of what a removed job had: of that which is open to them.
    private func tell(
        _ kept: Set<SHA256Digest>,
        to user: User,
        in response: inout RemoveJobResponse
    ) async throws {
        let store = engine.store
        // Those that nobody has stay for a backup that runs, and go with the next round.
        let kept = kept.subtracting(try await store.releasable(kept, GrantExpiry(before: .min)))
        let open =
            user.isOperator
            ? kept : try await store.granted(kept, to: Grant.holder(user: user.name))
        let sizes = open.compactMap { artifacts.size($0) }
        guard !sizes.isEmpty else { return }
        response.keptBytes = sizes.reduce(0, +)
        // Whatever becomes of openings, a job keeps the others.
        let brought = try await store.releasable(open, GrantExpiry(before: .max))
        if !brought.isEmpty {
            response.keptUntilUnixMs = engine.now.unix + retention.uploads
        }
        for digest in open.subtracting(brought).prefix(Self.referenceLimit) {
            let (jobs, _) = try await store.references(to: digest, limit: 64)
            if let job = jobs.first(where: { user.isOperator || $0.owner == user.name }) {
                response.keptFor = job.job
                return
            }
        }
    }

    /// Kept artifacts that one job is looked for among.
    private static let referenceLimit = 16

    /// Gives some of the principal's artifacts up; of everybody's, for an operator.
    func removeBlobs(
        _ request: RemoveBlobsRequest,
        by principal: Principal
    ) async throws -> RemoveBlobsResponse {
        let caller = Caller(principal, .removeBlobs)
        let removal = try removal(caller)
        try artifacts.requireUse()
        let blobs = try await removal.remove(request.digests)
        for blob in blobs where blob.outcome != .refused {
            authority.audit.allow(caller, "sha256:\(blob.digest.hex) \(blob.outcome)")
        }
        return RemoveBlobsResponse(blobs: blobs)
    }

    /// Removes what nobody needs of what the principal brought; of all, for an operator.
    func collectGarbage(
        _ request: CollectGarbageRequest,
        by principal: Principal,
        _ tell: (CollectedBlob) async throws -> Void
    ) async throws {
        let caller = Caller(principal, .collectGarbage)
        let removal = try removal(caller)
        try artifacts.requireUse()
        // A user's own word on an age of 0 needs no clock.
        guard
            request.olderThanSeconds == 0 && !removal.user.isOperator
                || clock.admits(engine.now.unix)
        else {
            throw StoreError(
                .outOfOrder,
                "the gateway's clock was set ahead: for a day nothing is taken for old"
            )
        }
        // Whoever is no operator any more goes on with nobody's but their own, and in a new call.
        var permit = try await Permit(authority.policies) {
            guard try authority.user(caller) == removal.user else {
                throw authority.denied(caller, "what the caller may do has changed meanwhile")
            }
        }
        if !request.dryRun { authority.audit.allow(caller, "what nobody refers to") }
        try await removal.collectGarbage(request) { blob in
            try await tell(blob)
            try await permit.renew()
        }
    }

    private func removal(_ caller: Caller) throws -> ArtifactRemoval {
        ArtifactRemoval(
            engine: engine,
            artifacts: artifacts,
            policy: retention,
            user: try authority.user(caller)
        )
    }

    /// Reads every artifact; the policy allows it to operators.
    func verifyArtifacts(
        by principal: Principal,
        _ report: (VerifyArtifactsReport) async throws -> Void
    ) async throws {
        let caller = Caller(principal, .verifyArtifacts)
        var permit = try await Permit(authority.policies) { try authority.admit(caller) }
        try await audits.run("reading all artifacts") {
            authority.audit.allow(caller, "all artifacts")
            try await ArtifactAudit(store: engine.store, artifacts: artifacts).run { found in
                try await permit.renew()
                var told = found
                told.fault?.message = found.fault.map { shown($0.message, to: principal) } ?? ""
                try await report(told)
            }
        }
    }

    /// A sentence as a caller may read it: with the paths of the gateway's files for operators, for others
    /// as they are called within its state folder.
    func shown(_ message: String, to principal: Principal) -> String {
        if case .user(let name) = principal.identity.subject,
            authority.policy.operators.contains(name)
        {
            return message
        }
        guard let end = artifacts.root.lastIndex(of: "/"), end > artifacts.root.startIndex else {
            return message
        }
        return message.replacing(artifacts.root[...end], with: "")
    }
}
