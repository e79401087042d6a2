internal import Foundation
internal import GRDB
internal import Protocol

/// One change of a job's state: the only way states change.
struct JobTransition {
    /// What came of it.
    enum Outcome: Equatable {
        /// The state changed and the event stands.
        case applied
        /// The job was in that state already.
        case alreadyTarget
        /// The caller's lease is not the job's.
        case ownerLost
        /// The states' table does not allow it, or somebody else was faster.
        case invalidState
    }

    var to: JobState
    var reason: JobReason = .none
    var message = ""
    /// The lease under which this is done; nil for the gateway and users.
    var epoch: Int64?
    /// Further columns that change with the state.
    var changes: [(column: String, value: any DatabaseValueConvertible)] = []

    /// Applies the change to `job` if its row is still as it was read, and appends the event.
    func apply(_ db: Database, to job: JobRow, now: Int64) throws -> Outcome {
        if let epoch, epoch != job.epoch {
            return .ownerLost
        }
        guard job.state != to else {
            return .alreadyTarget
        }
        guard job.state.successors.contains(to) else {
            return .invalidState
        }
        var columns = [
            "state = ?", "version = version + 1", "reason = ?", "message = ?",
            "last_seq = last_seq + 1",
        ]
        var values: [any DatabaseValueConvertible] = [to.rawValue, reason.rawValue, message]
        if to.isTerminal {
            columns.append("finished = ?")
            values.append(now)
        }
        for change in changes {
            columns.append("\(change.column) = ?")
            values.append(change.value)
        }
        values += [job.id, job.version, job.epoch]
        try db.execute(
            sql: """
                UPDATE job SET \(columns.joined(separator: ", "))
                WHERE id = ? AND version = ? AND epoch = ?
                """,
            arguments: StatementArguments(values)
        )
        guard db.changesCount == 1 else {
            return .invalidState
        }
        let event = JobEvent(
            jobID: job.id,
            seq: UInt64(job.lastSeq + 1),
            timeUnixMs: now,
            type: .state,
            state: to.rawValue,
            reason: reason.rawValue,
            message: message
        )
        try Self.insert(db, event)
        return .applied
    }

    /// Appends an event whose number the job's row already counts.
    static func insert(_ db: Database, _ event: JobEvent) throws {
        try db.execute(
            sql: "INSERT INTO event (job, seq, body) VALUES (?, ?, ?)",
            arguments: [event.jobID, Int64(event.seq), Data(try event.encoded())]
        )
    }
}
