internal import Foundation
internal import GRDB
internal import Protocol

extension JobStore {
    /// What a user submits.
    struct Submission: Sendable {
        let tenant: String
        let key: String
        let digest: SHA256Digest
        let kind: String
        let name: String
        let spec: [UInt8]
        let inputs: [Input]
    }

    /// Inserts a job, or finds the one that was submitted with the same key before.
    ///
    /// - Throws: ``StoreError`` (`alreadyExists`) if that one is different, (`notFound`) if an input
    ///   names a job that does not exist.
    func submit(_ submission: Submission) async throws -> (id: String, isCreated: Bool) {
        let result = try await pool.write { [self] db -> (String, Bool) in
            let known = try Row.fetchOne(
                db,
                sql: "SELECT id, digest FROM job WHERE tenant = ? AND key = ?",
                arguments: [submission.tenant, submission.key]
            )
            if let known {
                guard [UInt8](known["digest"] as Data) == submission.digest.bytes else {
                    throw StoreError(
                        .alreadyExists,
                        """
                        key \(submission.key) belongs to job \(known["id"] as String), which is \
                        another one; choose another key
                        """
                    )
                }
                return (known["id"], false)
            }
            let id = try insert(db, submission)
            try resolveInputs(db, id)
            return (id, true)
        }
        hub.signal(result.0)
        hub.signal(Self.queueTopic)
        return result
    }

    private func insert(_ db: Database, _ submission: Submission) throws -> String {
        // Ids are short enough to type and sort by time: milliseconds in hexadecimal, then chance.
        let time = now
        let id =
            String(format: "%011x", time) + String(format: "%05x", Int.random(in: 0..<(1 << 20)))
        try db.execute(
            sql: """
                INSERT INTO job
                    (id, tenant, key, digest, kind, name, spec, state, created, last_seq)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
                """,
            arguments: [
                id, submission.tenant, submission.key, Data(submission.digest.bytes),
                submission.kind, submission.name, Data(submission.spec),
                JobState.blocked.rawValue, time,
            ]
        )
        let event = JobEvent(
            jobID: id,
            seq: 1,
            timeUnixMs: time,
            type: .state,
            state: JobState.blocked.rawValue,
            message: "submitted by \(submission.tenant)"
        )
        try JobTransition.insert(db, event)
        for (position, input) in submission.inputs.enumerated() {
            try db.execute(
                sql: "INSERT INTO input (job, position, pointer, source) VALUES (?, ?, ?, ?)",
                arguments: [id, position, input.pointer, input.source]
            )
            for file in input.files {
                try insertFile(db, id, position, file.path, file.digest, file.size)
            }
            if let (other, _) = Self.reference(input.source) {
                _ = try job(db, other)
            }
        }
        return id
    }

    private func insertFile(
        _ db: Database,
        _ id: String,
        _ position: Int,
        _ path: String,
        _ digest: SHA256Digest,
        _ size: UInt64
    ) throws {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO input_file (job, position, path, digest, size)
                VALUES (?, ?, ?, ?, ?)
                """,
            arguments: [id, position, path, Data(digest.bytes), Int64(clamping: size)]
        )
    }

    /// Queues a blocked job whose inputs are all there, fails it if one never will be.
    func resolveInputs(_ db: Database, _ id: String) throws {
        let inputs = try Row.fetchAll(
            db,
            sql: "SELECT position, source FROM input WHERE job = ?",
            arguments: [id]
        )
        for input in inputs {
            guard let (other, output) = Self.reference(input["source"]) else {
                continue
            }
            let source = try job(db, other)
            switch source.state {
            case .succeeded:
                let files = try outputs(db, other).filter {
                    $0.name == output || $0.name.hasPrefix(output + "/")
                }
                guard !files.isEmpty else {
                    try fail(db, id, "job \(other) has no output \(output)")
                    return
                }
                for file in files {
                    try insertFile(db, id, input["position"], file.name, file.digest, file.size)
                }
            case .failed, .cancelled:
                try fail(
                    db,
                    id,
                    "job \(other), whose output \(output) this needs, is \(source.state.rawValue)"
                )
                return
            default:
                return
            }
        }
        _ = try JobTransition(to: .queued).apply(db, to: try job(db, id), now: now)
    }

    /// Looks again at blocked jobs after a job ended.
    func resolveDependents(_ db: Database, of id: String) throws {
        let blocked = try String.fetchAll(
            db,
            sql: """
                SELECT DISTINCT job.id FROM job JOIN input ON input.job = job.id
                WHERE job.state = ? AND (input.source = ? OR input.source LIKE ?)
                """,
            arguments: [JobState.blocked.rawValue, "job:\(id)", "job:\(id)/%"]
        )
        for job in blocked {
            try resolveInputs(db, job)
            hub.signal(job)
        }
    }

    private func fail(_ db: Database, _ id: String, _ message: String) throws {
        let transition = JobTransition(to: .failed, reason: .artifactMissing, message: message)
        _ = try transition.apply(db, to: try job(db, id), now: now)
        try resolveDependents(db, of: id)
    }

    /// The job and output that a source such as `job:ID/model` names; the output is `model` unless
    /// said otherwise.
    static func reference(_ source: String) -> (job: String, output: String)? {
        guard source.hasPrefix("job:") else {
            return nil
        }
        let parts = source.dropFirst(4).split(separator: "/", maxSplits: 1)
        guard let job = parts.first else {
            return nil
        }
        return (String(job), parts.count > 1 ? String(parts[1]) : "model")
    }
}
