internal import Foundation
internal import GRDB
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// A database as the version before wrote it (schema 2) is read, and goes on.
struct MigrationTests {
    private static let oldSchema = """
        CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
        INSERT INTO grdb_migrations VALUES ('v1'), ('v2');
        CREATE TABLE job (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            tenant TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, kind TEXT NOT NULL,
            name TEXT NOT NULL, spec BLOB NOT NULL, state TEXT NOT NULL,
            version INTEGER NOT NULL DEFAULT 1, epoch INTEGER NOT NULL DEFAULT 0,
            attempt INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0,
            losses_at_step INTEGER NOT NULL DEFAULT 0, lost_step INTEGER NOT NULL DEFAULT 0,
            failures INTEGER NOT NULL DEFAULT 0, worker TEXT NOT NULL DEFAULT '',
            worker_boot TEXT NOT NULL DEFAULT '', lease_until INTEGER NOT NULL DEFAULT 0,
            reason TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
            cancel_requested INTEGER NOT NULL DEFAULT 0, progress BLOB,
            last_step INTEGER NOT NULL DEFAULT 0, results BLOB, created INTEGER NOT NULL,
            started INTEGER, finished INTEGER, last_seq INTEGER NOT NULL DEFAULT 0,
            reported INTEGER NOT NULL DEFAULT 0, UNIQUE (tenant, key)) STRICT;
        CREATE INDEX job_by_state ON job (state, number);
        CREATE TABLE input (job TEXT NOT NULL REFERENCES job (id), position INTEGER NOT NULL,
            pointer TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (job, position)) STRICT;
        CREATE TABLE input_file (job TEXT NOT NULL REFERENCES job (id), position INTEGER NOT NULL,
            path TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,
            PRIMARY KEY (job, position, path)) STRICT;
        CREATE TABLE output (job TEXT NOT NULL REFERENCES job (id), name TEXT NOT NULL,
            digest BLOB NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (job, name)) STRICT;
        CREATE TABLE event (job TEXT NOT NULL REFERENCES job (id), seq INTEGER NOT NULL,
            body BLOB NOT NULL, PRIMARY KEY (job, seq)) STRICT, WITHOUT ROWID;
        CREATE TABLE worker (instance TEXT PRIMARY KEY, role TEXT NOT NULL, boot TEXT NOT NULL,
            address TEXT NOT NULL, kinds TEXT NOT NULL, cores INTEGER NOT NULL,
            memory INTEGER NOT NULL, version TEXT NOT NULL, seen INTEGER NOT NULL) STRICT;
        PRAGMA user_version = 2;
        """

    private static let spec =
        #"{"data":{"seq_length":16,"train":["t.txt"],"validation":["v.txt"]},"model":"m.gguf","#
        + #""quantization":{"algorithm":"mxfp4"},"#
        + #""trainer":{"accelerator":"gpu","devices":8,"max_steps":9}}"#

    private static func insert(
        _ db: Database,
        _ id: String,
        kind: String,
        state: String,
        spec: String
    ) throws {
        try db.execute(
            sql: """
                INSERT INTO job (id, tenant, key, digest, kind, name, spec, state, created,
                    last_seq, epoch, worker, worker_boot)
                VALUES (?, 'ada', ?, ?, ?, 'n', ?, ?, 1, 0, 1, ?, 'b0')
                """,
            arguments: [
                id, id, Data(SHA256Digest.of(id).bytes), kind, Data(spec.utf8), state,
                state == "RUNNING" ? "eval-1" : "",
            ]
        )
    }

    @Test func whatAnOlderVersionStoredGoesOn() async throws {
        let path = NSTemporaryDirectory() + "/qat-old-" + UUID().uuidString + ".sqlite"
        defer {
            for suffix in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: path + suffix)
            }
        }
        do {
            let old = try DatabaseQueue(path: path)
            try await old.write { db in
                try db.execute(sql: Self.oldSchema)
                try Self.insert(db, "gpu", kind: "train", state: "QUEUED", spec: Self.spec)
                try Self.insert(db, "run", kind: "evaluate", state: "RUNNING", spec: "{}")
                try Self.insert(db, "wait", kind: "quantize", state: "BLOCKED", spec: "{}")
                try db.execute(
                    sql: "INSERT INTO input VALUES ('wait', 0, '/model', 'job:gpu/model/x')"
                )
                try db.execute(
                    sql: "INSERT INTO input_file VALUES ('gpu', 0, 'm.gguf', ?, 1)",
                    arguments: [Data(SHA256Digest.of("m").bytes)]
                )
            }
            try old.close()
        }
        let store = SQLiteJobStore(pool: try GatewayDatabase.open(path: path))
        let gpu = try await store.job("gpu")
        #expect(gpu.resources == Resources(accelerator: .gpu, devices: 8, nodes: 1))
        #expect(
            try await store.nextQueued(
                for: Offer(kinds: [.train]),
                excluding: [],
                delayed: []
            ) == nil
        )
        let running = try await store.job("run").job
        #expect(running.holder == StoreFixture.holder("eval-1", boot: "b0", role: .eval))
        let dependents = try await store.dependents(
            of: "gpu",
            in: [.blocked],
            after: 0,
            limit: 9
        )
        #expect(dependents.jobs.map(\.job.id) == ["wait"])
        let open = try await store.granted([SHA256Digest.of("m")], to: "user/ada")
        #expect(open == [SHA256Digest.of("m")])
        try store.close()
    }

    /// A database that is gone while its artifacts are there is a mishap (a wrong folder, a lost
    /// disk), not a first start.
    @Test func aMissingDatabaseBesideArtifactsIsAnError() throws {
        let folder = NSTemporaryDirectory() + "/qat-lost-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let cas = folder + "/cas"
        _ = try ArtifactStore(root: cas)
        let path = folder + "/gateway.sqlite"
        // An empty store is a first start.
        try GatewayDatabase.open(path: path, artifactFolder: cas).close()
        try FileManager.default.removeItem(atPath: path)
        let digest = SHA256Digest.of("m").hex
        try Data("m".utf8).write(
            to: URL(fileURLWithPath: cas + "/sha256/\(digest.prefix(2))/\(digest)")
        )
        let error = #expect(throws: StoreError.self) {
            try GatewayDatabase.open(path: path, artifactFolder: cas)
        }
        #expect(error?.code == .unusable && error?.message.contains(path) == true)
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
