internal import Foundation
internal import GRDB
internal import JobSpecs
internal import Protocol

/// One row of the job table.
struct JobRow {
    let id: String
    let kind: String
    let name: String
    let spec: [UInt8]
    let state: JobState
    let version: Int64
    let epoch: Int64
    let attempt: Int64
    let worker: String
    let workerBoot: String
    let leaseUntil: Int64
    let lastStep: Int64
    let lastSeq: Int64
    let reported: Int64
    let digest: [UInt8]
    private let row: Row

    init(_ row: Row) throws {
        self.row = row
        id = row["id"]
        kind = row["kind"]
        name = row["name"]
        spec = [UInt8](row["spec"] as Data)
        guard let state = JobState(rawValue: row["state"]) else {
            throw StoreError(.corrupt, "job \(row["id"] as String) has an unknown state")
        }
        self.state = state
        version = row["version"]
        epoch = row["epoch"]
        attempt = row["attempt"]
        worker = row["worker"]
        workerBoot = row["worker_boot"]
        leaseUntil = row["lease_until"]
        lastStep = row["last_step"]
        lastSeq = row["last_seq"]
        reported = row["reported"]
        digest = [UInt8](row["digest"] as Data)
    }

    var losses: Int64 { row["losses"] }
    var lossesAtStep: Int64 { row["losses_at_step"] }
    var lostStep: Int64 { row["lost_step"] }
    var failures: Int64 { row["failures"] }
    var isCancelRequested: Bool { (row["cancel_requested"] as Int64) > 0 }
    var isCancelledNow: Bool { (row["cancel_requested"] as Int64) > 1 }
    var results: [UInt8] { (row["results"] as Data?).map { [UInt8]($0) } ?? [] }

    /// The resources its specification asks for.
    var resources: ResourceRequest {
        guard case .train(let spec)? = try? JobSpec.parse(kind: kind, json: spec) else {
            return ResourceRequest()
        }
        return spec.trainer.resources
    }

    /// What lists show; `waitReason` is the caller's to know.
    func summary(waitReason: String) throws -> JobSummary {
        let progress = (row["progress"] as Data?).map { [UInt8]($0) } ?? []
        return JobSummary(
            jobID: id,
            kind: kind,
            name: name,
            state: state.rawValue,
            reason: row["reason"],
            reasonMessage: row["message"],
            progress: progress.isEmpty ? JobProgress() : try JobProgress(encoded: progress),
            createdUnixMs: row["created"],
            startedUnixMs: row["started"],
            finishedUnixMs: row["finished"],
            attempt: UInt32(clamping: attempt),
            waitReason: waitReason,
            cancelRequested: isCancelRequested
        )
    }
}
