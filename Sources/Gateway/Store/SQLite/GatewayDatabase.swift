internal import Foundation
internal import GRDB
internal import JobSpecs
internal import Jobs

/// Opens the gateway's SQLite file so that what is acknowledged is on disk.
enum GatewayDatabase {
    /// The schema's version; a newer file is refused.
    static let schemaVersion = 12

    /// Opens, checks and migrates the file.
    ///
    /// `artifactFolder`: Where the artifacts are that the database names; a database that is missing or
    /// empty beside some is a mishap, not a first start.
    ///
    /// - Throws: ``StoreError`` (`unusable`) if the file is damaged, newer, lost, something else's, or
    ///   not durable; it names the file and says what to do.
    static func open(path: String, artifactFolder: String? = nil) throws -> DatabasePool {
        try naming(path) {
            try checkOrigin(path, artifactFolder)
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            configuration.foreignKeysEnabled = true
            configuration.maximumReaderCount = 4
            try makePrivate(path)
            let pool = try DatabasePool(path: path, configuration: configuration)
            try pool.writeWithoutTransaction { db in try prepare(db, path) }
            try migrator.migrate(pool)
            return pool
        }
    }

    /// Makes a file, if there is none, and one that only the gateway reads, whoever may read its folder;
    /// what SQLite lays beside it gets the same mode.
    static func makePrivate(_ path: String) throws {
        let descriptor = Foundation.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        // Whoever opens it next says what is wrong.
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        for name in ["", "-wal", "-shm"] { chmod(path + name, 0o600) }
    }

    private static func prepare(_ db: Database, _ path: String) throws {
        // GRDB sets NORMAL when it turns on the write-ahead log, after any prepareDatabase; a
        // commit would then survive a crash of the process, but not of the machine.
        try db.execute(sql: "PRAGMA synchronous = FULL")
        // What a long reader made the log grow to goes when it begins anew.
        try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
        let level = try Int.fetchOne(db, sql: "PRAGMA synchronous")
        let journal = try String.fetchOne(db, sql: "PRAGMA journal_mode")
        guard level == 2, journal == "wal" else {
            throw StoreError(
                .unusable,
                "\(path): synchronous is \(level ?? -1), journal \(journal ?? "?"); 2 and wal are needed"
            )
        }
        let check = try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
        guard check == "ok" else {
            throw StoreError(.unusable, "\(path): damaged: \(check ?? "?"); \(restoration)")
        }
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard version <= schemaVersion else {
            throw StoreError(
                .unusable,
                "\(path): schema \(version) is newer than this program's \(schemaVersion)"
            )
        }
    }

    /// Checks, before anything is written, that a file is the gateway's, or that there is none yet.
    private static func checkOrigin(_ path: String, _ artifactFolder: String?) throws {
        let isThere = FileManager.default.fileExists(atPath: path)
        let tables = isThere ? try tables(path) : []
        guard tables.isEmpty else {
            guard tables.isSuperset(of: ["grdb_migrations", "job"]) else {
                throw StoreError(
                    .unusable,
                    "\(path) is the database of something else: it has no jobs; "
                        + "move it away, or use another state folder"
                )
            }
            return
        }
        guard let artifactFolder, let artifact = firstArtifact(artifactFolder) else { return }
        throw StoreError(
            .unusable,
            "\(path) is \(isThere ? "empty" : "missing"), but \(artifactFolder) holds artifacts "
                + "(\(artifact.prefix(12))…); \(restoration), or move the artifacts away to start anew"
        )
    }

    private static func tables(_ path: String) throws -> Set<String> {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(5)
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? queue.close() }
        return try queue.read { db in
            Set(try String.fetchAll(db, sql: "SELECT name FROM sqlite_master WHERE type = 'table'"))
        }
    }

    /// The name of an artifact that a folder holds; nil without one.
    static func firstArtifact(_ folder: String) -> String? {
        let manager = FileManager.default
        let root = folder + "/sha256"
        for name in (try? manager.contentsOfDirectory(atPath: root)) ?? [] {
            if let first = try? manager.contentsOfDirectory(atPath: "\(root)/\(name)").first {
                return first
            }
        }
        return nil
    }

    /// What to do about a database that cannot be used.
    static let restoration = "restore a backup (qat-gateway restore)"

    /// Runs `body`; what SQLite says of a file gets the file's name, and what to do.
    static func naming<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as DatabaseError {
            throw StoreError(.unusable, "\(path): \(StoreError.sentence(of: error))")
        }
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("v1") { db in
            try db.execute(sql: schema)
            try db.execute(sql: "PRAGMA user_version = 1")
        }
        // The number of the worker's last event that was taken, in the present lease.
        migrator.registerMigration("v2") { db in
            try db.execute(sql: "ALTER TABLE job ADD COLUMN reported INTEGER NOT NULL DEFAULT 0")
            try db.execute(sql: "PRAGMA user_version = 2")
        }
        migrator.registerMigration("v3") { db in
            try db.execute(sql: schedulingColumns)
            try fillResources(db)
            try db.execute(sql: "PRAGMA user_version = 3")
        }
        migrator.registerMigration("v4") { db in
            try db.execute(sql: grants)
            try db.execute(sql: "PRAGMA user_version = 4")
        }
        migrator.registerMigration("v5") { db in
            try db.execute(sql: checkpoints)
            try db.execute(sql: "PRAGMA user_version = 5")
        }
        migrator.registerMigration("retention") { db in
            try db.execute(sql: retention)
            // What was there before has its time of grace from now on; what a job made goes with the job.
            try db.execute(
                sql: """
                    UPDATE artifact_grant SET granted = ? WHERE NOT EXISTS
                        (SELECT 1 FROM output WHERE output.digest = artifact_grant.digest)
                    """,
                arguments: [Int64(Date.now.timeIntervalSince1970 * 1000)]
            )
            try db.execute(sql: "PRAGMA user_version = 6")
        }
        migrator.registerMigration("pipelines") { db in
            try db.execute(sql: PipelineSchema.migration)
            try db.execute(sql: "PRAGMA user_version = 7")
        }
        migrator.registerMigration("origins") { db in
            try db.execute(sql: origins)
            // Who was there before has a day from now on.
            try db.execute(
                sql: "UPDATE worker SET seen = ?",
                arguments: [Int64(Date.now.timeIntervalSince1970 * 1000)]
            )
            try db.execute(sql: "PRAGMA user_version = 8")
        }
        // When workers' certificates end: who is there registers once, and not with every gateway.
        migrator.registerMigration("certificates") { db in
            try db.execute(
                sql: "ALTER TABLE worker ADD COLUMN certificate_ends INTEGER NOT NULL DEFAULT 0"
            )
            try db.execute(sql: "PRAGMA user_version = 9")
        }
        // An owner's jobs by state, for quotas and lists. The index before was for two states written out, and
        // no statement with values could use it.
        migrator.registerMigration("owner states") { db in
            try db.execute(sql: "DROP INDEX IF EXISTS job_waiting")
            try db.execute(sql: "CREATE INDEX job_by_owner_state ON job (tenant, state)")
            try db.execute(sql: "PRAGMA user_version = 10")
        }
        // Which folder of artifacts is this database's; none until a gateway has seen it.
        migrator.registerMigration("artifact store") { db in
            try db.execute(sql: "CREATE TABLE artifact_store (id TEXT NOT NULL) STRICT")
            try db.execute(sql: "PRAGMA user_version = 11")
        }
        // Who may run what models wrote, and which jobs are to.
        migrator.registerMigration("code execution") { db in
            for table in ["job", "worker"] {
                try db.execute(
                    sql: "ALTER TABLE \(table) ADD COLUMN runs_code INTEGER NOT NULL DEFAULT 0"
                )
            }
            try db.execute(sql: "PRAGMA user_version = 12")
        }
        return migrator
    }

    // What scheduling and dependencies ask for stands in columns of its own; a worker is its role
    // and its instance. `lease_until` and `worker.seen` are history: memory keeps both now.
    private static let schedulingColumns = """
        ALTER TABLE job ADD COLUMN worker_role TEXT NOT NULL DEFAULT '';
        UPDATE job SET worker_role = CASE kind
            WHEN 'quantize' THEN 'quant' WHEN 'evaluate' THEN 'eval' ELSE 'train' END
            WHERE worker <> '';
        ALTER TABLE job ADD COLUMN accelerator TEXT NOT NULL DEFAULT 'auto';
        ALTER TABLE job ADD COLUMN devices INTEGER NOT NULL DEFAULT 1;
        ALTER TABLE job ADD COLUMN nodes INTEGER NOT NULL DEFAULT 1;
        ALTER TABLE job ADD COLUMN depth INTEGER NOT NULL DEFAULT 1;
        CREATE INDEX job_in_queue ON job (kind, number, accelerator, devices, nodes)
            WHERE state = 'QUEUED';
        ALTER TABLE input ADD COLUMN source_job TEXT;
        UPDATE input SET source_job =
            CASE instr(source, '/') WHEN 0 THEN substr(source, 5)
            ELSE substr(source, 5, instr(source, '/') - 5) END
            WHERE source LIKE 'job:%';
        CREATE INDEX input_by_source ON input (source_job) WHERE source_job IS NOT NULL;
        DROP TABLE worker;
        CREATE TABLE worker (
            role TEXT NOT NULL,
            instance TEXT NOT NULL,
            boot TEXT NOT NULL,
            address TEXT NOT NULL,
            kinds TEXT NOT NULL,
            accelerator TEXT NOT NULL,
            devices INTEGER NOT NULL,
            nodes INTEGER NOT NULL,
            cores INTEGER NOT NULL,
            memory INTEGER NOT NULL,
            version TEXT NOT NULL,
            registered INTEGER NOT NULL,
            PRIMARY KEY (role, instance)
        ) STRICT;
        """

    // Whom artifacts are open to; what jobs refer to already is open to their owners.
    private static let grants = """
        CREATE TABLE artifact_grant (
            holder TEXT NOT NULL,
            digest BLOB NOT NULL,
            size INTEGER NOT NULL,
            PRIMARY KEY (holder, digest)
        ) STRICT, WITHOUT ROWID;
        INSERT OR REPLACE INTO artifact_grant (holder, digest, size)
            SELECT 'user/' || job.tenant, input_file.digest, input_file.size
            FROM input_file JOIN job ON job.id = input_file.job;
        INSERT OR REPLACE INTO artifact_grant (holder, digest, size)
            SELECT 'user/' || job.tenant, output.digest, output.size
            FROM output JOIN job ON job.id = output.job;
        CREATE INDEX job_by_owner ON job (tenant, number);
        CREATE INDEX job_waiting ON job (tenant) WHERE state IN ('BLOCKED', 'QUEUED');
        """

    // A job's newest checkpoint, so that any worker goes on from it.
    private static let checkpoints = """
        ALTER TABLE job ADD COLUMN checkpoint_step INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX input_by_digest ON input_file (digest);
        CREATE INDEX output_by_digest ON output (digest);
        CREATE INDEX grant_by_digest ON artifact_grant (digest);
        CREATE TABLE checkpoint_file (
            job TEXT NOT NULL REFERENCES job (id),
            name TEXT NOT NULL,
            digest BLOB NOT NULL,
            size INTEGER NOT NULL,
            PRIMARY KEY (job, name)
        ) STRICT;
        """

    // When artifacts were opened, and what finds that which is over: `trimmed` is when a job's history
    // lost its details. A removed job leaves its key.
    private static let retention = """
        ALTER TABLE artifact_grant ADD COLUMN granted INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX grant_by_age ON artifact_grant (granted);
        CREATE INDEX checkpoint_by_digest ON checkpoint_file (digest);
        ALTER TABLE job ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX job_by_end ON job (finished, number) WHERE finished IS NOT NULL;
        CREATE TABLE removed_job (
            tenant TEXT NOT NULL,
            key TEXT NOT NULL,
            id TEXT NOT NULL,
            removed INTEGER NOT NULL,
            PRIMARY KEY (tenant, key)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX removed_by_age ON removed_job (removed);
        """

    // Which lease a checkpoint is of, which state folder a worker has, and when it was last heard.
    private static let origins = """
        ALTER TABLE job ADD COLUMN checkpoint_epoch INTEGER NOT NULL DEFAULT 0;
        UPDATE job SET checkpoint_epoch = epoch WHERE checkpoint_step > 0;
        ALTER TABLE worker ADD COLUMN state_id TEXT NOT NULL DEFAULT '';
        ALTER TABLE worker ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
        """

    /// Reads what jobs of an older schema ask for out of their specifications.
    private static func fillResources(_ db: Database) throws {
        let rows = try Row.fetchAll(
            db,
            sql: "SELECT number, kind, spec FROM job WHERE kind = 'train' AND finished IS NULL"
        )
        for row in rows {
            let spec = [UInt8](row["spec"] as Data)
            guard let resources = try? JobSpec.parse(kind: row["kind"], json: spec).resources else {
                continue
            }
            try db.execute(
                sql: "UPDATE job SET accelerator = ?, devices = ?, nodes = ? WHERE number = ?",
                arguments: [
                    resources.accelerator.rawValue, resources.devices, resources.nodes,
                    row["number"] as Int64,
                ]
            )
        }
    }

    // Times are Unix milliseconds. `version` counts changes of a job's row, `epoch` its leases,
    // `last_seq` its events.
    private static let schema = """
        CREATE TABLE job (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            tenant TEXT NOT NULL,
            key TEXT NOT NULL,
            digest BLOB NOT NULL,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            spec BLOB NOT NULL,
            state TEXT NOT NULL,
            version INTEGER NOT NULL DEFAULT 1,
            epoch INTEGER NOT NULL DEFAULT 0,
            attempt INTEGER NOT NULL DEFAULT 0,
            losses INTEGER NOT NULL DEFAULT 0,
            losses_at_step INTEGER NOT NULL DEFAULT 0,
            lost_step INTEGER NOT NULL DEFAULT 0,
            failures INTEGER NOT NULL DEFAULT 0,
            worker TEXT NOT NULL DEFAULT '',
            worker_boot TEXT NOT NULL DEFAULT '',
            lease_until INTEGER NOT NULL DEFAULT 0,
            reason TEXT NOT NULL DEFAULT '',
            message TEXT NOT NULL DEFAULT '',
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            progress BLOB,
            last_step INTEGER NOT NULL DEFAULT 0,
            results BLOB,
            created INTEGER NOT NULL,
            started INTEGER,
            finished INTEGER,
            last_seq INTEGER NOT NULL DEFAULT 0,
            UNIQUE (tenant, key)
        ) STRICT;
        CREATE INDEX job_by_state ON job (state, number);
        CREATE TABLE input (
            job TEXT NOT NULL REFERENCES job (id),
            position INTEGER NOT NULL,
            pointer TEXT NOT NULL,
            source TEXT NOT NULL,
            PRIMARY KEY (job, position)
        ) STRICT;
        CREATE TABLE input_file (
            job TEXT NOT NULL REFERENCES job (id),
            position INTEGER NOT NULL,
            path TEXT NOT NULL,
            digest BLOB NOT NULL,
            size INTEGER NOT NULL,
            PRIMARY KEY (job, position, path)
        ) STRICT;
        CREATE TABLE output (
            job TEXT NOT NULL REFERENCES job (id),
            name TEXT NOT NULL,
            digest BLOB NOT NULL,
            size INTEGER NOT NULL,
            PRIMARY KEY (job, name)
        ) STRICT;
        CREATE TABLE event (
            job TEXT NOT NULL REFERENCES job (id),
            seq INTEGER NOT NULL,
            body BLOB NOT NULL,
            PRIMARY KEY (job, seq)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE worker (
            instance TEXT PRIMARY KEY,
            role TEXT NOT NULL,
            boot TEXT NOT NULL,
            address TEXT NOT NULL,
            kinds TEXT NOT NULL,
            cores INTEGER NOT NULL,
            memory INTEGER NOT NULL,
            version TEXT NOT NULL,
            seen INTEGER NOT NULL
        ) STRICT;
        """
}
