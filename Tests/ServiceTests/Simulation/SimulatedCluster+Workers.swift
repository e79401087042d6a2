internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

extension SimulatedCluster {
    /// A worker does what it does next.
    func work(_ index: Int) async throws {
        guard workers[index].isRegistered else { return try await register(index) }
        guard workers[index].lease != nil else { return try await acquire(index) }
        switch workers[index].order {
        case .lost:
            workers[index].lease = nil
        case .cancel, .cancelNow:
            try await complete(index, .cancelled)
        case .pause:
            #expect(
                workers[index].knowsPause,
                "seed \(history.seed): a worker was told what it does not know"
            )
            if chance(40) { try await save(index) }
            try await complete(index, .released, reason: "PAUSED_BY")
        case .continue:
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<55: try await heartbeat(index)
            case 55..<75: try await save(index)
            case 75..<90: try await complete(index, .succeeded)
            case 90..<93: try await complete(index, .released)
            case 93..<97: try await complete(index, .failed, reason: "KILLED")
            default:
                try await complete(index, .failed, reason: chance(50) ? "INTERNAL" : "DIVERGED")
            }
        }
    }

    /// The worker's process dies, and another one starts.
    func crash(_ index: Int) {
        workers[index].boot += 1
        workers[index].isRegistered = false
        workers[index].lease = nil
    }

    func register(_ index: Int) async throws {
        // A restarted process has the state folder of the one before.
        let isDone = try await register(workers[index].holder, stateID: "s\(index)")
        workers[index].isRegistered = isDone
        if isDone { workers[index].heard = engine.now.uptime }
    }

    private func register(_ holder: LeaseHolder, stateID: String) async throws -> Bool {
        let isDone = try await attempt {
            try await engine.register(
                Gateway.Worker(
                    identity: holder.worker,
                    boot: holder.boot,
                    address: "127.0.0.1:1",
                    offer: Offer(kinds: holder.worker.role.kinds),
                    cores: 2,
                    memory: 1 << 30,
                    version: "0",
                    registered: engine.now.unix,
                    stateID: stateID
                )
            )
            return true
        }
        return isDone == true
    }

    /// Another process under a worker's identity, on another machine, takes no place that is taken:
    /// not before a lease's duration has passed since the first was heard.
    func impersonate() async throws {
        guard let index = workers.indices.randomElement(using: &random) else { return }
        let silence = engine.now.uptime - workers[index].heard
        let other = LeaseHolder(worker: workers[index].identity, boot: "other")
        guard try await register(other, stateID: "elsewhere") else { return }
        #expect(
            silence > 30_000,
            "seed \(history.seed): a second process took a living one's place"
        )
        workers[index].isRegistered = false
        workers[index].lease = nil
        workers[index].heard = .min / 2
    }

    private func acquire(_ index: Int) async throws {
        let holder = workers[index].holder
        do {
            let answer = try await attempt { try await engine.acquire(holder) }
            if answer != nil { workers[index].heard = engine.now.uptime }
            guard let lease = answer ?? nil else {
                // After a restart of the gateway a worker may have to register again.
                if chance(30) { workers[index].isRegistered = false }
                return
            }
            workers[index].lease = lease
            // Now and then a checkpoint is damaged, and the attempt begins anew.
            workers[index].step = chance(5) ? 0 : lease.checkpoint?.step ?? 0
            workers[index].order = .continue
            history.leased(lease, to: holder)
            claims.append(
                Claim(
                    job: lease.jobID,
                    claim: LeaseClaim(epoch: Int64(lease.epoch), holder: holder)
                )
            )
        }
    }

    func heartbeat(_ index: Int) async throws {
        guard let lease = workers[index].lease else { return }
        let first = workers[index].step + 1
        workers[index].step += UInt64.random(in: 0...3, using: &random)
        let events = (first..<workers[index].step + 1).map { step in
            JobEvent(
                jobID: lease.jobID,
                type: .progress,
                progress: JobProgress(step: step, totalSteps: 99, phase: "train")
            )
        }
        let claim = LeaseClaim(epoch: Int64(lease.epoch), holder: workers[index].holder)
        let knowsPause = workers[index].knowsPause
        let order = try await attempt {
            try await engine.heartbeat(lease.jobID, claim, events, knowsPause: knowsPause)
        }
        workers[index].order = order ?? workers[index].order
        if order == .continue { workers[index].heard = engine.now.uptime }
    }

    private func save(_ index: Int) async throws {
        guard let lease = workers[index].lease, workers[index].step > 0 else { return }
        let step = workers[index].step
        let claim = LeaseClaim(epoch: Int64(lease.epoch), holder: workers[index].holder)
        let file = OutputFile(name: "state", digest: .of("\(step)"), size: 1)
        history.maySave(lease.jobID, epoch: lease.epoch, step: step)
        let freed = try await attempt {
            try await engine.saveCheckpoint(
                lease.jobID,
                claim,
                Checkpoint(step: step, files: [file])
            )
        }
        if let freed, freed != nil { history.saved(lease.jobID, epoch: lease.epoch, step: step) }
    }

    private func complete(
        _ index: Int,
        _ outcome: CompleteLeaseRequest.Outcome,
        reason: String = ""
    ) async throws {
        guard let lease = workers[index].lease else { return }
        history.mayComplete(lease.jobID, epoch: lease.epoch, outcome)
        let holder = workers[index].holder
        let request = Self.completion(lease.jobID, lease.epoch, outcome, reason: reason)
        let verdict = try await attempt { try await engine.complete(request, by: holder) }
        // Not answered: it reports again later.
        if verdict != nil { workers[index].lease = nil }
    }

    static func completion(
        _ job: String,
        _ epoch: UInt64,
        _ outcome: CompleteLeaseRequest.Outcome,
        reason: String = ""
    ) -> CompleteLeaseRequest {
        CompleteLeaseRequest(
            jobID: job,
            epoch: epoch,
            outcome: outcome,
            reason: reason,
            message: "m",
            resultsJSON: outcome == .succeeded ? Array("{}".utf8) : [],
            outputs: outcome == .succeeded
                ? [OutputFile(name: "model", digest: .of("o"), size: 1)] : []
        )
    }

    /// Somebody shows a lease that is not theirs: an old one, or another worker's; nothing may change.
    func forge() async throws {
        guard let shown = claims.randomElement(using: &random),
            let thief = workers.randomElement(using: &random)
        else { return }
        // Of a job that is gone there is nothing to change.
        guard store.ids.contains(shown.job) else { return }
        let before = try await store.job(shown.job).job
        let isLive = before.isHeld(by: shown.claim)
        let claim: LeaseClaim
        if isLive || chance(50) {
            guard thief.holder != shown.claim.holder else { return }
            claim = LeaseClaim(epoch: before.epoch, holder: thief.holder)
            guard !before.isHeld(by: claim) else { return }
        } else {
            claim = shown.claim
        }
        let request = Self.completion(shown.job, UInt64(claim.epoch), .succeeded)
        _ = try await engine.complete(request, by: claim.holder)
        let order = try await engine.heartbeat(shown.job, claim, [])
        let file = OutputFile(name: "state", digest: .of("forged"), size: 1)
        let saved = try await engine.saveCheckpoint(
            shown.job,
            claim,
            Checkpoint(step: 1 << 40, files: [file])
        )
        let after = try await store.job(shown.job).job
        #expect(
            before == after && order == .lost && saved == nil,
            "seed \(history.seed): a forged call had an effect"
        )
    }
}
