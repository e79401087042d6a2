internal import Jobs
internal import Protocol
internal import Synchronization

extension JobEngine {
    /// Leases the oldest queued job that a worker can run, or nil.
    ///
    /// `obstacle`: Why the worker takes none now. `isStopping`: Whether it takes none any more.
    ///
    /// - Throws: ``StoreError`` (`invalidState`) if this process of the worker is not registered.
    func acquire(
        _ holder: LeaseHolder,
        obstacle: String? = nil,
        isStopping: Bool = false,
        isConnected: (@Sendable () -> Bool)? = nil
    ) async throws -> Lease? {
        let worker = try registered(holder, isConnected: isConnected)
        if isStopping {
            presence.noteStop(of: holder)
            return nil
        }
        presence.note(obstacle: obstacle, of: holder)
        // Whoever got a job now would find its inputs missing.
        guard obstacle == nil, hasArtifacts else { return nil }
        var refused: Set<String> = []
        var unreadable: Set<String> = []
        while let next = try await store.nextQueued(
            for: worker.offer,
            excluding: try await ownersAtQuota().union(refused),
            delayed: delays.pending(at: now.uptime).union(unreadable)
                .union(memoryNeeds.jobs(beyond: worker.memory))
        ) {
            let decision = decide(.leased(holder), next.job)
            let lease: Lease
            do {
                // Before the commit, which holds only if nothing of this changed: what cannot be handed out
                // must not be leased.
                lease = try await self.lease(decision.job, next.name)
            } catch let error as StoreError where [.notFound, .corrupt].contains(error.code) {
                remarks.tell(error.message)
                faults.withLock { $0[next.job.id] = error.message }
                unreadable.insert(next.job.id)
                continue
            }
            var batch = JobBatch()
            batch.tell(decision)
            // What an earlier attempt told is none of this one's.
            let start = JobProgress(
                step: UInt64(clamping: decision.job.checkpointStep),
                totalSteps: next.progress?.totalSteps ?? 0
            )
            batch.changes = [JobBatch.Change(job: decision.job, progress: start)]
            // Others lease at this moment, too: their owner's quota is counted with the commit.
            if let limit = policies.policy.quota(of: next.owner).running {
                batch.ceilings = [
                    JobBatch.Ceiling(owner: next.owner, states: JobState.leased, limit: limit)
                ]
            }
            switch try await commit(batch, decision) {
            case .committed:
                note(decision)
                if next.job.started == nil {
                    figures.waited(seconds: Double(now.unix - next.job.created) / 1000)
                }
            case .overQuota:
                refused.insert(next.owner)
                continue
            // Somebody was faster: the next one.
            default: continue
            }
            return lease
        }
        return nil
    }

    private func lease(_ job: Job, _ name: String) async throws -> Lease {
        Lease(
            jobID: job.id,
            kind: job.kind.rawValue,
            name: name,
            attempt: UInt32(clamping: job.attempt),
            epoch: UInt64(clamping: job.epoch),
            specJSON: try await store.document(job.id).spec,
            inputs: try await store.inputs(of: job.id),
            checkpoint: try await checkpoint(of: job)
        )
    }

    /// Extends a lease and appends what the worker tells.
    ///
    /// `knowsPause`: Whether it can be told to pause.
    func heartbeat(
        _ id: String,
        _ claim: LeaseClaim,
        _ events: [JobEvent],
        knowsPause: Bool = false,
        isConnected: (@Sendable () -> Bool)? = nil
    ) async throws -> HeartbeatResponse.Directive {
        presence.hear(claim.holder, at: now, isConnected: isConnected)
        let told = events.filter { $0.type != .state }.map(reportRules.kept)
        let reports = told.map { event in
            WorkerReport(number: Int64(clamping: event.seq), step: Self.trainingStep(event))
        }
        let serves = told.contains { ServingPhase.holds($0.progress?.phase ?? "") }
        let decision = try await changeLeased(id) { stored in
            var reports = reports
            if serves, !reports.isEmpty {
                // A replica that was ready has got somewhere, whatever becomes of it: steps of a serve job are
                // seconds since its submission, which go on over its attempts.
                reports[reports.count - 1].step = max(0, now.unix - stored.job.created) / 1000
            }
            let decision = decide(.heartbeat(claim, reports), stored.job)
            var batch = JobBatch()
            batch.events = decision.reports.map { taken in
                var event = told[taken.position]
                event.jobID = id
                event.seq = UInt64(taken.seq)
                event.state = decision.job.state.rawValue
                event.timeUnixMs = now.unix
                return event
            }
            if !batch.isEmpty {
                let progress = batch.events.last { $0.type == .progress }?.progress
                batch.changes = [JobBatch.Change(job: decision.job, progress: progress)]
            }
            return (decision, batch)
        }
        guard let decision, decision.verdict == .accepted else { return .lost }
        figures.heard(told, of: id)
        return Self.directive(decision.job, knowsPause: knowsPause)
    }

    private static func trainingStep(_ event: JobEvent) -> Int64? {
        guard event.type == .progress, let progress = event.progress, progress.isTraining
        else {
            return nil
        }
        return Int64(clamping: progress.step)
    }

    /// Ends an attempt; the same report of the same lease is accepted again, another one is refused.
    ///
    /// `checkStored`: Throws if outputs are not stored, or not the worker's to name. `isMissing`: Whether one
    /// of some artifacts is not stored, so that a worker which says so is believed. `onChange`: Called if the
    /// job has an end that it had not before. `onSuccess`: Gets the checkpoint, which a success has no use for
    /// any more.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) if the outputs or results break a limit; the
    ///   lease stands, and the worker may report a failure instead.
    func complete(
        _ request: CompleteLeaseRequest,
        by holder: LeaseHolder,
        checkStored: ([OutputFile]) async throws -> Void = { _ in },
        isMissing: (Set<SHA256Digest>) throws -> Bool = { _ in false },
        onChange: () -> Void = {},
        onSuccess: (Set<SHA256Digest>) -> Void = { _ in }
    ) async throws -> Decision.Verdict {
        var freed: [OutputFile] = []
        let claim = LeaseClaim(epoch: Int64(clamping: request.epoch), holder: holder)
        presence.hear(holder, at: now)
        let decision = try await changeLeased(request.jobID) { stored in
            var completion = completion(request)
            if case .failed(.artifactMissing, let message) = completion {
                let inputs = try await readable { try await store.inputs(of: request.jobID) }
                    .flatMap(\.files)
                if try !isMissing(Set(inputs.map(\.digest))) {
                    completion = .failed(
                        .internalError,
                        "its worker gave ARTIFACT_MISSING, and all inputs are stored: \(message)"
                    )
                }
            }
            if case .failed(.exceedsMemory, let message) = completion,
                let memory = memoryBelowOthers(of: holder, for: stored)
            {
                completion = .released(message, .exceedsMemory)
                // Before it is in the queue again, where the same worker looks.
                if stored.job.isHeld(by: claim) { memoryNeeds.note(stored.job.id, above: memory) }
            }
            let decision = decide(.completed(claim, completion), stored.job)
            var batch = JobBatch()
            // Whoever does not hold the lease learns nothing of what is stored.
            if decision.isChange {
                try rules.check(request.outputs, results: request.resultsJSON)
                try await checkStored(request.outputs)
                var change = JobBatch.Change(job: decision.job)
                if decision.job.state == .succeeded {
                    freed = try await readable { try await store.checkpoint(of: request.jobID) }
                    change.results = request.resultsJSON
                    change.checkpoint = []
                    change.outputs = request.outputs
                } else if request.outcome == .failed, !request.outputs.isEmpty {
                    // A job whose export failed has the other ones.
                    change.outputs = request.outputs
                }
                batch.changes = [change]
                let owner = Grant.holder(user: stored.owner)
                batch.closings = [closing(change.outputs ?? [], to: holder.worker)]
                batch.grants = (change.outputs ?? []).map {
                    JobBatch.Opening(holder: owner, digest: $0.digest, size: $0.size)
                }
            }
            return (decision, batch)
        }
        let verdict = decision?.verdict ?? .leaseLost
        if let decision, decision.isChange { onChange() }
        if !freed.isEmpty, verdict == .accepted {
            onSuccess(Set(freed.map(\.digest)))
        }
        return verdict
    }

    /// What memory a worker has, if another one that could take the job has more, be it away at this moment.
    private func memoryBelowOthers(of holder: LeaseHolder, for stored: StoredJob) -> Int64? {
        guard let memory = presence.worker(holder.worker)?.memory else { return nil }
        let hasLarger = presence.all.contains { entry in
            entry.worker.memory > memory
                && entry.worker.offer.fits(stored.job.kind, stored.resources)
        }
        return hasLarger ? memory : nil
    }

    /// Changes a job for a worker that shows a lease; nil if there is no such job any more, or none that
    /// can be read, and so no lease on it.
    func changeLeased(
        _ id: String,
        _ body: (StoredJob) async throws -> (Decision, JobBatch)
    ) async throws -> Decision? {
        do {
            return try await change(id, body)
        } catch let error as StoreError where error.code == .notFound {
            return nil
        } catch let error as StoreError where error.code == .corrupt {
            remarks.tell(error.message)
            return nil
        }
    }

    private func completion(_ request: CompleteLeaseRequest) -> Completion {
        switch request.outcome {
        case .succeeded: .succeeded
        case .failed: failure(request)
        case .cancelled: .stopped(reportRules.sentence(request.message))
        case .released:
            .released(
                reportRules.sentence(request.message),
                Self.releaseReasons.first { $0.rawValue == request.reason } ?? .none
            )
        }
    }

    /// Why a worker hands a lease back, beside going away.
    private static let releaseReasons: [JobReason] = [.noDisk, .pausedBy]

    /// A word that is no reason is said, and taken for a fault of the program.
    private func failure(_ request: CompleteLeaseRequest) -> Completion {
        if let reason = JobReason(rawValue: request.reason) {
            return .failed(reason, reportRules.sentence(request.message))
        }
        let word = PlainText.quoted(request.reason, byteLimit: 40)
        return .failed(
            .internalError,
            reportRules.sentence(
                "its worker gave the reason \(word), which this gateway does not know: \(request.message)"
            )
        )
    }

    /// Makes every lease last a whole duration from now on.
    ///
    /// After the gateway's own absence, or a pause in which it heard nobody, so that workers get the
    /// chance to be heard before anything is taken from them.
    func renewLeases() async throws {
        let moment = now
        presence.renew(at: moment)
        try await forEach(in: JobState.leased) { stored in
            leases.set(
                stored.job.id,
                epoch: stored.job.epoch,
                until: lifecycle.leaseEnd(at: moment)
            )
        }
    }

    /// Counts for leases that nobody counts for: those of rows that could not be read for a while.
    func adoptLeases() async throws {
        let end = lifecycle.leaseEnd(at: now)
        try await forEach(in: JobState.leased) { stored in
            leases.adopt(stored.job.id, epoch: stored.job.epoch, until: end)
        }
    }

    /// Takes back the leases that ended without a heartbeat.
    ///
    /// - Returns: The jobs concerned.
    func recoverExpired() async throws -> [String] {
        var lost: [String] = []
        for (id, epoch) in leases.expired(before: now.uptime) {
            do {
                let isLost = try await endLease(of: id, epoch: epoch) { holder in
                    "worker \(holder?.worker.instance ?? "?") was not heard of in time"
                }
                if isLost {
                    lost.append(id)
                }
                leases.remove(id, epoch: epoch)
            } catch let error as StoreError where [.notFound, .corrupt].contains(error.code) {
                // Lists say what is wrong with the row; it must not keep the others.
                leases.remove(id, epoch: epoch)
            }
        }
        return lost
    }

    /// Ends a lease without its holder's doing, unless there is a younger one: that one counts.
    ///
    /// - Returns: Whether there was such a lease.
    func endLease(
        of id: String,
        epoch: Int64,
        _ message: (LeaseHolder?) -> String
    ) async throws -> Bool {
        let decision = try await change(id) { stored in
            guard stored.job.epoch == epoch else {
                return (Decision(unchanged: stored.job), JobBatch())
            }
            let message = message(stored.job.holder)
            return (decide(.leaseEnded(message), stored.job), JobBatch())
        }
        return decision.isChange
    }

    /// Whether a claim is that of a job's present lease.
    func holds(_ id: String, _ claim: LeaseClaim) async throws -> Bool {
        do {
            return try await store.job(id).job.isHeld(by: claim)
        } catch let error as StoreError where [.notFound, .corrupt].contains(error.code) {
            return false
        }
    }
}
