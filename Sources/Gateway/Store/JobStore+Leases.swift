internal import Foundation
internal import GRDB
internal import JobSpecs
internal import Protocol

extension JobStore {
    /// Losses after which a job fails, whatever it achieved in between.
    private static let lossLimit: Int64 = 10
    /// Losses without a step in between after which a job fails.
    private static let crashLoopLimit: Int64 = 3

    /// Leases the oldest queued job that a worker can run, or nil.
    func acquire(instance: String, boot: String) async throws -> Lease? {
        let lease = try await pool.write { [self] db -> Lease? in
            guard let worker = try workers(db).first(where: { $0.instance == instance }),
                worker.boot == boot
            else {
                throw StoreError(
                    .invalidState,
                    "worker \(instance) is not registered; register again"
                )
            }
            for kind in worker.kinds {
                let rows = try Row.fetchAll(
                    db,
                    sql: """
                        SELECT * FROM job WHERE state = 'QUEUED' AND kind = ?
                        ORDER BY number LIMIT 100
                        """,
                    arguments: [kind]
                )
                for row in rows {
                    let job = try JobRow(row)
                    if job.resources.waitReason == nil {
                        return try grant(db, job, to: worker)
                    }
                }
            }
            return nil
        }
        if let lease {
            hub.signal(lease.jobID)
        }
        return lease
    }

    private func grant(_ db: Database, _ job: JobRow, to worker: Worker) throws -> Lease? {
        let transition = JobTransition(
            to: .starting,
            message: "leased to \(worker.instance)",
            changes: [
                ("worker", worker.instance), ("worker_boot", worker.boot),
                ("lease_until", leaseEnd), ("attempt", job.attempt + 1),
            ]
        )
        guard try transition.apply(db, to: job, now: now) == .applied else {
            return nil
        }
        try db.execute(
            sql: """
                UPDATE job SET epoch = epoch + 1, reported = 0, started = coalesce(started, ?)
                WHERE id = ?
                """,
            arguments: [now, job.id]
        )
        return Lease(
            jobID: job.id,
            kind: job.kind,
            name: job.name,
            attempt: UInt32(clamping: job.attempt + 1),
            epoch: UInt64(job.epoch + 1),
            specJSON: job.spec,
            inputs: try inputs(db, job.id)
        )
    }

    private func inputs(_ db: Database, _ id: String) throws -> [Input] {
        let rows = try Row.fetchAll(
            db,
            sql: "SELECT * FROM input WHERE job = ? ORDER BY position",
            arguments: [id]
        )
        return try rows.map { row in
            let files = try Row.fetchAll(
                db,
                sql: "SELECT * FROM input_file WHERE job = ? AND position = ? ORDER BY path",
                arguments: [id, row["position"] as Int64]
            )
            return Input(
                pointer: row["pointer"],
                source: row["source"],
                files: try files.map {
                    InputFile(
                        path: $0["path"],
                        digest: try Self.digest($0["digest"]),
                        size: UInt64($0["size"] as Int64)
                    )
                }
            )
        }
    }

    /// Extends a lease and appends what the worker tells.
    func heartbeat(_ request: HeartbeatRequest) async throws -> HeartbeatResponse.Directive {
        let directive = try await pool.write { [self] db -> HeartbeatResponse.Directive in
            var job = try job(db, request.jobID)
            guard job.epoch == Int64(clamping: request.epoch), job.state.isLeased,
                job.worker == request.instance
            else {
                return .lost
            }
            if job.state == .starting {
                _ = try JobTransition(to: .running, epoch: job.epoch).apply(db, to: job, now: now)
                job = try self.job(db, request.jobID)
            }
            try append(db, job, request.events)
            try db.execute(
                sql: "UPDATE job SET lease_until = ? WHERE id = ?",
                arguments: [leaseEnd, job.id]
            )
            try db.execute(
                sql: "UPDATE worker SET seen = ? WHERE instance = ?",
                arguments: [now, request.instance]
            )
            return job.isCancelledNow ? .cancelNow : job.isCancelRequested ? .cancel : .continue
        }
        hub.signal(request.jobID)
        return directive
    }

    private func append(_ db: Database, _ job: JobRow, _ events: [JobEvent]) throws {
        var seq = job.lastSeq
        var latest: JobProgress?
        var step = job.lastStep
        var reported = job.reported
        for event in events where event.type != .state {
            // A heartbeat whose answer was lost comes again; a worker numbers its events from 1.
            let number = Int64(clamping: event.seq)
            guard number == 0 || number > reported else { continue }
            reported = max(reported, number)
            seq += 1
            var numbered = event
            numbered.jobID = job.id
            numbered.seq = UInt64(seq)
            numbered.state = JobState.running.rawValue
            numbered.timeUnixMs = now
            try JobTransition.insert(db, numbered)
            if event.type == .progress, let progress = event.progress {
                latest = progress
                if progress.phase == "train" {
                    step = max(step, Int64(clamping: progress.step))
                }
            }
        }
        guard seq > job.lastSeq else {
            return
        }
        try db.execute(
            sql: "UPDATE job SET last_seq = ?, last_step = ?, reported = ? WHERE id = ?",
            arguments: [seq, step, reported, job.id]
        )
        if let latest {
            try db.execute(
                sql: "UPDATE job SET progress = ? WHERE id = ?",
                arguments: [Data(try latest.encoded()), job.id]
            )
        }
    }

    /// Ends an attempt.
    ///
    /// A repeated report of the same lease is accepted again.
    ///
    /// The caller has checked that the outputs are stored.
    func complete(_ request: CompleteLeaseRequest) async throws -> Bool {
        let isAccepted = try await pool.write { [self] db -> Bool in
            let job = try job(db, request.jobID)
            guard job.epoch == Int64(clamping: request.epoch) else {
                return false
            }
            if job.state.isTerminal {
                return true
            }
            guard job.state.isLeased else {
                return false
            }
            switch request.outcome {
            case .succeeded: try succeed(db, job, request)
            case .failed: try fail(db, job, request)
            case .released:
                try recover(db, job, request.message)
            case .cancelled:
                let transition = JobTransition(
                    to: .cancelled,
                    reason: .cancelledBy,
                    message: request.message,
                    epoch: job.epoch
                )
                _ = try transition.apply(db, to: job, now: now)
            }
            try resolveDependents(db, of: job.id)
            return true
        }
        hub.signal(request.jobID)
        hub.signal(Self.queueTopic)
        return isAccepted
    }

    private func succeed(_ db: Database, _ job: JobRow, _ request: CompleteLeaseRequest) throws {
        try store(db, job, request.outputs)
        let transition = JobTransition(
            to: .succeeded,
            epoch: job.epoch,
            changes: [("results", Data(request.resultsJSON))]
        )
        _ = try transition.apply(db, to: job, now: now)
    }

    /// Makes files the outputs of a job, in the place of those of an earlier attempt.
    private func store(_ db: Database, _ job: JobRow, _ outputs: [OutputFile]) throws {
        try db.execute(sql: "DELETE FROM output WHERE job = ?", arguments: [job.id])
        for output in outputs {
            try db.execute(
                sql: "INSERT OR REPLACE INTO output (job, name, digest, size) VALUES (?, ?, ?, ?)",
                arguments: [
                    job.id, output.name, Data(output.digest.bytes), Int64(clamping: output.size),
                ]
            )
        }
    }

    private func fail(_ db: Database, _ job: JobRow, _ request: CompleteLeaseRequest) throws {
        let reason = JobReason(rawValue: request.reason) ?? .internalError
        // A job whose export failed has the other ones.
        if !request.outputs.isEmpty { try store(db, job, request.outputs) }
        guard !job.isCancelRequested, job.failures + 1 < Int64(reason.attemptLimit) else {
            let transition = JobTransition(
                to: job.isCancelRequested ? .cancelled : .failed,
                reason: job.isCancelRequested ? .cancelledBy : reason,
                message: request.message,
                epoch: job.epoch
            )
            _ = try transition.apply(db, to: job, now: now)
            return
        }
        let recovering = JobTransition(
            to: .recovering,
            reason: reason,
            message: request.message,
            epoch: job.epoch,
            changes: [("failures", job.failures + 1)]
        )
        _ = try recovering.apply(db, to: job, now: now)
        let message = "trying again after: \(request.message)"
        _ = try JobTransition(to: .queued, reason: reason, message: message)
            .apply(db, to: try self.job(db, job.id), now: now)
    }

    /// Takes back the leases that ended without a heartbeat.
    ///
    /// - Returns: The jobs concerned.
    func recoverExpired() async throws -> [String] {
        let ids = try await pool.write { [self] db -> [String] in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM job WHERE lease_until < ?
                    AND state IN ('STARTING', 'RUNNING', 'CANCELLING')
                    """,
                arguments: [now]
            )
            return try rows.map { row in
                let job = try JobRow(row)
                try recover(db, job, "worker \(job.worker) was not heard of in time")
                return job.id
            }
        }
        for id in ids {
            hub.signal(id)
        }
        if !ids.isEmpty {
            hub.signal(Self.queueTopic)
        }
        return ids
    }

    /// Gives leases a whole duration from now: after the gateway's own absence, workers get the
    /// chance to be heard before anything is taken from them.
    func extendLeasesAtBoot() async throws {
        try await pool.write { [self] db in
            try db.execute(
                sql: """
                    UPDATE job SET lease_until = max(lease_until, ?)
                    WHERE state IN ('STARTING', 'RUNNING', 'CANCELLING')
                    """,
                arguments: [leaseEnd]
            )
        }
    }

    /// Puts a lost job back into the queue, or ends it.
    func recover(_ db: Database, _ job: JobRow, _ message: String) throws {
        let isStuck = job.losses > 0 && job.lastStep <= job.lostStep
        let lossesAtStep = isStuck ? job.lossesAtStep + 1 : 1
        let transition = JobTransition(
            to: .recovering,
            reason: .workerLost,
            message: message,
            changes: [
                ("losses", job.losses + 1), ("losses_at_step", lossesAtStep),
                ("lost_step", job.lastStep), ("worker", ""), ("worker_boot", ""),
            ]
        )
        guard try transition.apply(db, to: job, now: now) == .applied else {
            return
        }
        let lost = try self.job(db, job.id)
        let next: JobTransition
        if job.isCancelRequested {
            next = JobTransition(to: .cancelled, reason: .cancelledBy, message: message)
        } else if lossesAtStep >= Self.crashLoopLimit || job.losses + 1 >= Self.lossLimit {
            next = JobTransition(
                to: .failed,
                reason: .crashLoop,
                message:
                    "lost \(job.losses + 1) times, the last time at step \(job.lastStep): \(message)"
            )
        } else {
            next = JobTransition(to: .queued, reason: .workerLost, message: message)
        }
        _ = try next.apply(db, to: lost, now: now)
        if next.to.isTerminal {
            try resolveDependents(db, of: job.id)
        }
    }
}

extension JobStore {
    /// Whether a lease is the job's present one.
    func holds(_ id: String, epoch: UInt64) async throws -> Bool {
        try await pool.read { [self] db in
            let job = try job(db, id)
            return job.epoch == Int64(clamping: epoch) && job.state.isLeased
        }
    }
}
