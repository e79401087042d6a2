internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol

extension SQLiteJobStore {
    /// Ends a transaction whose changes must not stay.
    private struct Abandoned: Error {
        let outcome: CommitOutcome
    }

    func commit(_ batch: JobBatch) async throws -> CommitOutcome {
        do {
            try await pool.write { db in try Self.apply(batch, db) }
            return .committed
        } catch let abandoned as Abandoned {
            return abandoned.outcome
        }
    }

    private static func apply(_ batch: JobBatch, _ db: Database) throws {
        for condition in batch.conditions {
            let isMet =
                try
                !JobRecord
                .filter(JobRecord.CodingKeys.id == condition.id)
                .filter(JobRecord.CodingKeys.state == condition.state.rawValue)
                .isEmpty(db)
            guard isMet else { throw Abandoned(outcome: .conflict) }
        }
        for insertion in batch.insertions {
            try insert(insertion, db)
        }
        for change in batch.changes {
            try apply(change, db)
        }
        for grant in batch.grants {
            try insertGrant(grant, db)
        }
        for event in batch.events {
            try EventRecord(event).insert(db)
        }
    }

    private static func insert(_ insertion: JobBatch.Insertion, _ db: Database) throws {
        try JobRecord(insertion).insert(db, onConflict: .ignore)
        guard db.changesCount == 1 else { throw Abandoned(outcome: .taken) }
        let id = insertion.job.id
        for (position, input) in insertion.inputs.enumerated() {
            try InputRecord(
                job: id,
                position: position,
                pointer: input.pointer,
                source: input.source,
                sourceJob: InputSource(input.source).job
            ).insert(db)
            for file in input.files {
                try InputFileRecord(job: id, position: position, file).insert(db)
            }
        }
    }

    private static func apply(_ change: JobBatch.Change, _ db: Database) throws {
        let id = change.job.id
        let count =
            try JobRecord
            .filter(JobRecord.CodingKeys.id == id)
            .filter(JobRecord.CodingKeys.version == change.job.version)
            .updateAll(db, try JobRecord.assignments(change))
        guard count == 1 else { throw Abandoned(outcome: .conflict) }
        if let outputs = change.outputs {
            try OutputRecord.filter(OutputRecord.CodingKeys.job == id).deleteAll(db)
            for output in outputs {
                try OutputRecord(job: id, output).insert(db, onConflict: .replace)
            }
        }
        if let checkpoint = change.checkpoint {
            try CheckpointRecord.filter(CheckpointRecord.CodingKeys.job == id).deleteAll(db)
            for file in checkpoint {
                try CheckpointRecord(job: id, file).insert(db, onConflict: .replace)
            }
        }
        for (position, files) in change.files {
            for file in files {
                try InputFileRecord(job: id, position: position, file).insert(db)
            }
        }
    }
}
