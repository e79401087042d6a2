internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol

/// A row of a job's inputs.
struct InputRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "input"

    enum CodingKeys: String, CodingKey, ColumnExpression {
        case job, position, pointer, source
        case sourceJob = "source_job"
    }

    var job: String
    var position: Int
    var pointer: String
    var source: String
    /// The job whose output this is.
    var sourceJob: String?
}

/// A row of an input's files.
struct InputFileRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "input_file"
    // A retried job gets the files of its inputs again.
    static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace)

    enum CodingKeys: String, CodingKey, ColumnExpression {
        case job, position, path, digest, size
    }

    var job: String
    var position: Int
    var path: String
    var digest: Data
    var size: Int64

    init(job: String, position: Int, _ file: InputFile) {
        self.job = job
        self.position = position
        path = file.path
        digest = Data(file.digest.bytes)
        size = Int64(clamping: file.size)
    }

    func file() throws -> InputFile {
        InputFile(
            path: path,
            digest: try SHA256Digest(stored: digest, of: "input", path, job),
            size: UInt64(clamping: size)
        )
    }
}

/// A row of a file that a job made; which table it stands in says what for.
struct JobFileRecord<Table: JobFileTable>: Codable, FetchableRecord, PersistableRecord {
    static var databaseTableName: String { Table.name }

    var job: String
    var name: String
    var digest: Data
    var size: Int64

    init(job: String, _ file: OutputFile) {
        self.job = job
        name = file.name
        digest = Data(file.digest.bytes)
        size = Int64(clamping: file.size)
    }

    func file() throws -> OutputFile {
        OutputFile(
            name: name,
            digest: try SHA256Digest(stored: digest, of: Table.what, name, job),
            size: UInt64(clamping: size)
        )
    }

    /// The files of a job, by name.
    static func files(of job: String, _ db: Database) throws -> [OutputFile] {
        try filter(Column("job") == job).order(Column("name")).fetchAll(db).map { try $0.file() }
    }

    /// Puts files in the place of those that a job has.
    static func replace(of job: String, with files: [OutputFile], _ db: Database) throws {
        try filter(Column("job") == job).deleteAll(db)
        for file in files {
            try Self(job: job, file).insert(db, onConflict: .replace)
        }
    }
}

/// A table of files that jobs made.
protocol JobFileTable {
    static var name: String { get }
    /// What such a file is to its job.
    static var what: String { get }
}

/// Jobs' outputs.
enum OutputTable: JobFileTable {
    static let name = "output"
    static let what = "output"
}

/// Jobs' checkpoints.
enum CheckpointTable: JobFileTable {
    static let name = "checkpoint_file"
    static let what = "checkpoint"
}

typealias OutputRecord = JobFileRecord<OutputTable>
typealias CheckpointRecord = JobFileRecord<CheckpointTable>

/// A row of a job's history.
struct EventRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "event"

    enum CodingKeys: String, CodingKey, ColumnExpression {
        case job, seq, body
    }

    var job: String
    var seq: Int64
    var body: Data

    init(_ event: JobEvent) throws {
        job = event.jobID
        seq = Int64(clamping: event.seq)
        body = Data(try event.encoded())
    }
}

/// A row of what is open to whom.
struct GrantRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "artifact_grant"
    static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace)

    enum CodingKeys: String, CodingKey, ColumnExpression {
        case holder, digest, size, granted
    }

    var holder: String
    var digest: Data
    var size: Int64
    /// When it was brought or asked for, in Unix milliseconds; 0 of what a job made.
    var granted: Int64

    init(_ opening: JobBatch.Opening) {
        holder = opening.holder
        digest = Data(opening.digest.bytes)
        size = Int64(clamping: opening.size)
        granted = opening.brought ?? 0
    }

    /// Opens it; what a job makes takes nothing from what was brought.
    static func open(_ opening: JobBatch.Opening, _ db: Database) throws {
        try GrantRecord(opening).insert(db, onConflict: opening.brought == nil ? .ignore : .replace)
    }
}

/// A row of the workers.
struct WorkerRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "worker"
    static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace)

    var role: String
    var instance: String
    var boot: String
    var address: String
    var kinds: String
    var accelerator: String
    var devices: Int
    var nodes: Int
    var cores: Int64
    var memory: Int64
    var version: String
    var registered: Int64
    var stateID: String
    var seen: Int64
    var certificateEnds: Int64
    var runsCode: Bool

    enum CodingKeys: String, CodingKey {
        case role, instance, boot, address, kinds, accelerator, devices, nodes, cores, memory
        case version, registered, seen
        case stateID = "state_id"
        case certificateEnds = "certificate_ends"
        case runsCode = "runs_code"
    }

    init(_ worker: Worker) {
        role = worker.identity.role.rawValue
        instance = worker.identity.instance
        boot = worker.boot
        address = worker.address
        kinds = worker.offer.kinds.map(\.rawValue).joined(separator: ",")
        accelerator = worker.offer.accelerator.rawValue
        devices = worker.offer.devices
        nodes = worker.offer.nodes
        cores = worker.cores
        memory = worker.memory
        version = worker.version
        registered = worker.registered
        stateID = worker.stateID
        seen = worker.registered
        certificateEnds = worker.certificateEnds
        runsCode = worker.offer.runsCode
    }

    /// The worker, or nil if the row is none of ours; it registers again.
    var worker: Worker? {
        guard let role = Role(rawValue: role), let accelerator = Accelerator(rawValue: accelerator)
        else {
            return nil
        }
        return Worker(
            identity: WorkerIdentity(role: role, instance: instance),
            boot: boot,
            address: address,
            offer: Offer(
                kinds: kinds.split(separator: ",").compactMap { Kind(rawValue: String($0)) },
                accelerator: accelerator,
                devices: devices,
                nodes: nodes,
                runsCode: runsCode
            ),
            cores: cores,
            memory: memory,
            version: version,
            registered: registered,
            certificateEnds: certificateEnds,
            stateID: stateID,
            seen: seen
        )
    }
}

extension SHA256Digest {
    /// The digest of a job's file out of the database.
    ///
    /// - Throws: ``StoreError`` (`corrupt`) that names both.
    init(stored data: Data, of what: String, _ name: String, _ job: String) throws {
        guard let digest = SHA256Digest(bytes: [UInt8](data)) else {
            throw StoreError(
                .corrupt,
                DamagedDigest.sentence(what, name, job, byteCount: data.count)
            )
        }
        self = digest
    }
}

/// A row that names a file of a job, and whose digest is none.
struct DamagedDigest: Sendable {
    /// The job.
    let job: String
    /// Which file, and what is wrong.
    let message: String

    static func sentence(_ what: String, _ name: String, _ job: String, byteCount: Int) -> String {
        "job \(PlainText.quoted(job)): the row of its \(what) \(PlainText.quoted(name)) cannot be read: a "
            + "digest of \(byteCount) bytes"
    }

    /// Those of a database, of those of its tables that it has.
    static func all(_ db: Database, limit: Int) throws -> [DamagedDigest] {
        let places =
            [("input_file", "path", "input")]
            + [(OutputTable.name, "name", OutputTable.what)]
            + [(CheckpointTable.name, "name", CheckpointTable.what)]
        let parts = try places.filter { try db.tableExists($0.0) }.map { table, name, what in
            "SELECT job, '\(what)' what, \(name) name, length(digest) count FROM \(table) "
                + "WHERE length(digest) <> 32"
        }
        guard !parts.isEmpty else { return [] }
        let sql =
            parts.joined(separator: " UNION ALL ") + " ORDER BY job, what, name LIMIT \(limit)"
        return try Row.fetchAll(db, sql: sql).map { row in
            let job: String = row["job"]
            return DamagedDigest(
                job: job,
                message: sentence(row["what"], row["name"], job, byteCount: row["count"])
            )
        }
    }
}
