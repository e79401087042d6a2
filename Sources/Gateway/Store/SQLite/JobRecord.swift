internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol

/// A row of the job table.
struct JobRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "job"

    /// The columns, as the schema names them.
    enum CodingKeys: String, CodingKey, CaseIterable, ColumnExpression {
        case number, id, tenant, key, digest, kind, name, spec, state, version, epoch, attempt
        case losses, failures, worker, reason, message, progress, created, started, finished
        case accelerator, devices, nodes, depth, reported
        case priority, rank, deadline, overdue, pipeline, part, content
        case reusedFrom = "reused_from"
        case lossesAtStep = "losses_at_step"
        case lostStep = "lost_step"
        case workerRole = "worker_role"
        case workerBoot = "worker_boot"
        case cancelRequested = "cancel_requested"
        case lastStep = "last_step"
        case lastSeq = "last_seq"
        case checkpointStep = "checkpoint_step"
        case checkpointEpoch = "checkpoint_epoch"
        case runsCode = "runs_code"
    }

    /// All but the specification, which is large and seldom wanted, and its digest.
    static var databaseSelection: [any SQLSelectable] {
        CodingKeys.allCases.filter { $0 != .spec && $0 != .content }
    }

    var number: Int64?
    var id: String
    var tenant: String
    var key: String
    var digest: Data
    var kind: String
    var name: String
    /// For insertion only.
    var spec: Data?
    var state: String
    var version: Int64
    var epoch: Int64
    var attempt: Int64
    var losses: Int64
    var lossesAtStep: Int64
    var lostStep: Int64
    var failures: Int64
    var worker: String
    var workerRole: String
    var workerBoot: String
    var reason: String
    var message: String
    var cancelRequested: Int64
    var progress: Data?
    var lastStep: Int64
    var created: Int64
    var started: Int64?
    var finished: Int64?
    var lastSeq: Int64
    var reported: Int64
    var accelerator: String
    var devices: Int
    var nodes: Int
    var runsCode: Bool
    var depth: Int
    var checkpointStep: Int64
    var checkpointEpoch: Int64
    var priority: Int64
    var rank: Int64
    var deadline: Int64?
    var overdue: Bool
    var reusedFrom: String?
    var pipeline: String?
    var part: String
    /// For insertion and search only.
    var content: Data?
}

extension JobRecord {
    /// The row of a new job.
    init(_ insertion: JobBatch.Insertion) {
        let job = insertion.job
        self.init(
            number: nil,
            id: job.id,
            tenant: insertion.owner,
            key: insertion.key,
            digest: Data(insertion.digest.bytes),
            kind: job.kind.rawValue,
            name: insertion.name,
            spec: Data(insertion.spec),
            state: job.state.rawValue,
            version: job.version,
            epoch: job.epoch,
            attempt: job.attempt,
            losses: job.losses,
            lossesAtStep: job.lossesAtStep,
            lostStep: job.lostStep,
            failures: job.failures,
            worker: job.holder?.worker.instance ?? "",
            workerRole: job.holder?.worker.role.rawValue ?? "",
            workerBoot: job.holder?.boot ?? "",
            reason: job.reason.rawValue,
            message: job.message,
            cancelRequested: job.cancellation.rawValue,
            progress: nil,
            lastStep: job.lastStep,
            created: job.created,
            started: job.started,
            finished: job.finished,
            lastSeq: job.lastSeq,
            reported: job.reported,
            accelerator: insertion.resources.accelerator.rawValue,
            devices: insertion.resources.devices,
            nodes: insertion.resources.nodes,
            runsCode: insertion.resources.runsCode,
            depth: insertion.depth,
            checkpointStep: job.checkpointStep,
            checkpointEpoch: job.checkpointEpoch,
            priority: insertion.priority.rawValue,
            rank: insertion.priority.rank(created: job.created),
            deadline: job.deadline,
            overdue: job.isOverdue,
            reusedFrom: job.reusedFrom,
            pipeline: insertion.place?.pipeline,
            part: insertion.place?.part ?? "",
            content: insertion.content.map { Data($0.bytes) }
        )
    }

    /// The job that the row holds.
    ///
    /// - Throws: ``StoreError`` (`corrupt`) if a value is none of ours.
    func stored() throws -> StoredJob {
        StoredJob(
            number: number ?? 0,
            owner: tenant,
            name: name,
            resources: Resources(
                accelerator: try known(accelerator, "accelerator"),
                devices: devices,
                nodes: nodes,
                runsCode: runsCode
            ),
            depth: depth,
            job: try job(),
            priority: try known(priority, "priority"),
            place: pipeline.map { PipelinePlace(pipeline: $0, part: part) },
            progress: try progress.map { try JobProgress(encoded: [UInt8]($0)) }
        )
    }

    private func job() throws -> Job {
        var job = Job(
            id: id,
            kind: try known(kind, "kind"),
            state: try known(state, "state"),
            created: created
        )
        job.reason = try known(reason, "reason")
        job.message = message
        job.version = version
        job.epoch = epoch
        job.attempt = attempt
        job.losses = losses
        job.lossesAtStep = lossesAtStep
        job.lostStep = lostStep
        job.failures = failures
        job.lastStep = lastStep
        job.checkpointStep = checkpointStep
        job.checkpointEpoch = checkpointEpoch
        job.holder = try holder()
        job.cancellation = try known(cancelRequested, "cancel_requested")
        job.lastSeq = lastSeq
        job.reported = reported
        job.started = started
        job.finished = finished
        job.deadline = deadline
        job.isOverdue = overdue
        job.reusedFrom = reusedFrom
        return job
    }

    private func holder() throws -> LeaseHolder? {
        guard !worker.isEmpty else { return nil }
        return LeaseHolder(
            worker: WorkerIdentity(role: try known(workerRole, "worker_role"), instance: worker),
            boot: workerBoot
        )
    }

    private func known<Value: RawRepresentable>(
        _ raw: Value.RawValue,
        _ column: String
    ) throws -> Value {
        guard let value = Value(rawValue: raw) else {
            throw StoreError(
                .corrupt,
                "job \(id) cannot be read: its \(column) is \(raw), which is none of ours"
            )
        }
        return value
    }

    /// What a change of a job's life sets.
    static func assignments(_ change: JobBatch.Change) throws -> [ColumnAssignment] {
        let job = change.job
        var assignments: [ColumnAssignment] = [
            CodingKeys.state.set(to: job.state.rawValue),
            CodingKeys.reason.set(to: job.reason.rawValue),
            CodingKeys.message.set(to: job.message),
            CodingKeys.version.set(to: job.version + 1),
            CodingKeys.epoch.set(to: job.epoch),
            CodingKeys.attempt.set(to: job.attempt),
            CodingKeys.losses.set(to: job.losses),
            CodingKeys.lossesAtStep.set(to: job.lossesAtStep),
            CodingKeys.lostStep.set(to: job.lostStep),
            CodingKeys.failures.set(to: job.failures),
            CodingKeys.lastStep.set(to: job.lastStep),
            CodingKeys.checkpointStep.set(to: job.checkpointStep),
            CodingKeys.checkpointEpoch.set(to: job.checkpointEpoch),
            CodingKeys.worker.set(to: job.holder?.worker.instance ?? ""),
            CodingKeys.workerRole.set(to: job.holder?.worker.role.rawValue ?? ""),
            CodingKeys.workerBoot.set(to: job.holder?.boot ?? ""),
            CodingKeys.cancelRequested.set(to: job.cancellation.rawValue),
            CodingKeys.lastSeq.set(to: job.lastSeq),
            CodingKeys.reported.set(to: job.reported),
            CodingKeys.started.set(to: job.started),
            CodingKeys.finished.set(to: job.finished),
            CodingKeys.deadline.set(to: job.deadline),
            CodingKeys.overdue.set(to: job.isOverdue),
        ]
        if let progress = change.progress {
            assignments.append(CodingKeys.progress.set(to: Data(try progress.encoded())))
        }
        if let results = change.results {
            assignments.append(Column("results").set(to: Data(results)))
        }
        return assignments
    }
}
