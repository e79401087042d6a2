internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol
internal import Synchronization

extension SQLiteJobStore {
    /// Ends a transaction whose changes must not stay.
    private struct Abandoned: Error {
        let outcome: CommitOutcome
    }

    /// Stores changes, all or none, together with those of whoever else waits: one transaction, and
    /// one write to the disk, for all who came while the one before was on its way.
    func commit(_ batch: JobBatch) async throws -> CommitOutcome {
        try await withCheckedThrowingContinuation { continuation in
            guard waiting.add(batch, continuation) else { return }
            // The first in the queue serves it; it outlives a caller that gives up.
            Task { await self.serveQueue() }
        }
    }

    private func serveQueue() async {
        let taken = Mutex<[CommitQueue.Entry]>([])
        do {
            let outcomes = try await pool.write { [waiting] db in
                let entries = waiting.takeAll()
                taken.withLock { $0 = entries }
                return try entries.map { try Self.outcome(of: $0.batch, db) }
            }
            for (entry, outcome) in zip(taken.withLock({ $0 }), outcomes) {
                entry.continuation.resume(with: outcome)
            }
        } catch {
            // Not even the transaction began, or it did not reach the disk: nothing is stored.
            let entries = taken.withLock { $0 }
            for entry in entries.isEmpty ? waiting.takeAll() : entries {
                entry.continuation.resume(throwing: error)
            }
        }
    }

    /// Applies one batch within the common transaction; what fails takes only itself back.
    private static func outcome(
        of batch: JobBatch,
        _ db: Database
    ) throws -> Result<CommitOutcome, any Error> {
        do {
            try db.inSavepoint {
                try apply(batch, db)
                return .commit
            }
            return .success(.committed)
        } catch let abandoned as Abandoned {
            return .success(abandoned.outcome)
        } catch {
            // A failure that ended the transaction itself ends it for all.
            guard db.isInsideTransaction else { throw error }
            return .failure(error)
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
        for ceiling in batch.ceilings where try isReached(ceiling, db) {
            throw Abandoned(outcome: .overQuota)
        }
        for needs in batch.needs where try !hasAll(needs, db) {
            throw Abandoned(outcome: .artifactsGone)
        }
        guard try insert(batch.pipelines, db) else { throw Abandoned(outcome: .taken) }
        for insertion in batch.insertions {
            try insert(insertion, db)
        }
        for change in batch.changes {
            try apply(change, db)
        }
        for grant in batch.grants {
            try GrantRecord.open(grant, db)
        }
        for closing in batch.closings {
            try close(closing, db)
        }
        for event in batch.events {
            try EventRecord(event).insert(db)
        }
        for trim in batch.trims {
            try apply(trim, db)
        }
        for removal in batch.removals where try !remove(removal, db) {
            throw Abandoned(outcome: .conflict)
        }
    }

    private static func insert(_ insertion: JobBatch.Insertion, _ db: Database) throws {
        guard try !isRemoved(insertion.owner, insertion.key, db) else {
            throw Abandoned(outcome: .taken)
        }
        try JobRecord(insertion).insert(db, onConflict: .ignore)
        guard db.changesCount == 1 else { throw Abandoned(outcome: .taken) }
        let id = insertion.job.id
        for source in Set(insertion.after) {
            try PredecessorRecord(job: id, source: source).insert(db)
        }
        if !insertion.results.isEmpty {
            _ = try JobRecord.filter(JobRecord.CodingKeys.id == id)
                .updateAll(db, Column("results").set(to: Data(insertion.results)))
        }
        for output in insertion.outputs {
            try OutputRecord(job: id, output).insert(db)
        }
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
            try OutputRecord.replace(of: id, with: outputs, db)
        }
        if let checkpoint = change.checkpoint {
            try CheckpointRecord.replace(of: id, with: checkpoint, db)
        }
        for (position, files) in change.files {
            for file in files {
                try InputFileRecord(job: id, position: position, file).insert(db)
            }
        }
    }
}

/// Batches that wait for the next transaction.
final class CommitQueue: Sendable {
    /// A batch and who waits for it.
    struct Entry: Sendable {
        let batch: JobBatch
        let continuation: CheckedContinuation<CommitOutcome, any Error>
    }

    private let entries = Mutex<[Entry]>([])

    /// Adds a batch.
    ///
    /// - Returns: Whether it is the first, and somebody must serve the queue.
    func add(
        _ batch: JobBatch,
        _ continuation: CheckedContinuation<CommitOutcome, any Error>
    ) -> Bool {
        entries.withLock { entries in
            entries.append(Entry(batch: batch, continuation: continuation))
            return entries.count == 1
        }
    }

    /// Takes every batch; the next one added is a first again.
    func takeAll() -> [Entry] {
        entries.withLock { entries in
            defer { entries = [] }
            return entries
        }
    }
}
