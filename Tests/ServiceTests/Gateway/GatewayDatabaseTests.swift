internal import Foundation
internal import GRDB
internal import Protocol
internal import Testing

@testable internal import Gateway

struct GatewayDatabaseTests {
    private let path = NSTemporaryDirectory() + "/qat-database-" + UUID().uuidString + ".sqlite"

    private func cleanUp() {
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: path + suffix)
        }
    }

    @Test func commitsAreOnDiskWhenTheyReturn() throws {
        defer { cleanUp() }
        let pool = try GatewayDatabase.open(path: path)
        let (level, journal) = try pool.writeWithoutTransaction { db in
            (
                try Int.fetchOne(db, sql: "PRAGMA synchronous"),
                try String.fetchOne(db, sql: "PRAGMA journal_mode")
            )
        }
        #expect(level == 2 && journal == "wal")
        try pool.close()
    }

    @Test func aNewerSchemaIsRefused() throws {
        defer { cleanUp() }
        let pool = try GatewayDatabase.open(path: path)
        try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA user_version = 99") }
        try pool.close()
        let error = #expect(throws: StoreError.self) { try GatewayDatabase.open(path: path) }
        #expect(error?.message.contains("schema 99 is newer") == true)
    }

    @Test func aDamagedFileIsRefused() throws {
        defer { cleanUp() }
        try Data(repeating: 0x5A, count: 8192).write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: StoreError.self) { try GatewayDatabase.open(path: path) }
        // SQLite's own words and number (SQLITE_NOTADB), the file, and what to do.
        #expect(error?.message.hasPrefix(path + ": file is not a database (SQLite 26)") == true)
        #expect(error?.message.contains("qat-gateway restore") == true)
    }

    /// Seen: pages that are overwritten while the gateway is away ended it with words of SQLite alone.
    @Test func aDatabaseWithADamagedPageIsRefused() throws {
        defer { cleanUp() }
        try GatewayDatabase.open(path: path).close()
        let handle = try #require(FileHandle(forWritingAtPath: path))
        let size = try handle.seekToEnd()
        for page in 1..<(size / 4096) {
            try handle.seek(toOffset: page * 4096)
            try handle.write(contentsOf: Data(repeating: 0xFF, count: 4096))
        }
        try handle.close()
        let error = #expect(throws: StoreError.self) { try GatewayDatabase.open(path: path) }
        #expect(error?.message.hasPrefix(path + ": ") == true)
        #expect(error?.message.contains("qat-gateway restore") == true)
    }

    /// A folder that is not there: SQLite's number for what cannot be opened is 14.
    @Test func whatCannotBeOpenedIsNamed() throws {
        let error = #expect(throws: StoreError.self) { try GatewayDatabase.open(path: path + "/x") }
        #expect(error?.message.hasPrefix(path + "/x: ") == true)
        #expect(error?.message.contains("(SQLite 14)") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("allowed to write") == true)
    }

    /// Seen: an empty file beside artifacts was taken for a first start, and every job was gone.
    @Test(arguments: [true, false])
    func anEmptyDatabaseBesideArtifactsIsNoFirstStart(hasPages: Bool) async throws {
        let folder = path + "-state"
        defer {
            cleanUp()
            try? FileManager.default.removeItem(atPath: folder)
        }
        let artifacts = try ArtifactStore(root: folder)
        func make() throws {
            cleanUp()
            guard hasPages else { return try Data().write(to: URL(fileURLWithPath: path)) }
            // A database of SQLite's, without a table.
            let queue = try DatabaseQueue(path: path)
            try queue.inDatabase { try $0.execute(sql: "CREATE TABLE x (y); DROP TABLE x") }
            try queue.close()
        }
        // Without an artifact it is one.
        try make()
        try GatewayDatabase.open(path: path, artifactFolder: folder).close()
        try make()
        let before = FileManager.default.contents(atPath: path)
        #expect(before?.isEmpty == !hasPages)
        try await artifacts.put("m")
        let error = #expect(throws: StoreError.self) {
            try GatewayDatabase.open(path: path, artifactFolder: folder)
        }
        #expect(error?.code == .unusable)
        #expect(error?.message.hasPrefix(path + " is empty") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("qat-gateway restore") == true)
        #expect(FileManager.default.contents(atPath: path) == before)
    }

    /// Seen: the tables of the gateway were made in somebody else's database.
    @Test func theDatabaseOfSomethingElseIsLeftAlone() async throws {
        defer { cleanUp() }
        let queue = try DatabaseQueue(path: path)
        try await queue.write { try $0.execute(sql: "CREATE TABLE bookmark (url TEXT)") }
        try queue.close()
        let before = FileManager.default.contents(atPath: path)
        let error = #expect(throws: StoreError.self) { try GatewayDatabase.open(path: path) }
        #expect(error?.message.hasPrefix(path + " is the database of something else") == true)
        #expect(FileManager.default.contents(atPath: path) == before)
    }

    /// Everything is in the one file that people copy, once nobody uses it.
    @Test func aClosedDatabaseIsOneFile() async throws {
        defer { cleanUp() }
        let store = SQLiteJobStore(pool: try GatewayDatabase.open(path: path))
        try await store.grant([.init(holder: "user/ada", digest: .of("m"), size: 1, brought: 1)])
        try store.close()
        let log = FileManager.default.contents(atPath: path + "-wal") ?? Data()
        #expect(log.isEmpty)
        let copy = path + "-copy"
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        defer { try? FileManager.default.removeItem(atPath: copy) }
        let queue = try DatabaseQueue(path: copy)
        let holders = try await queue.read {
            try String.fetchAll($0, sql: "SELECT holder FROM artifact_grant")
        }
        #expect(holders == ["user/ada"])
        try queue.close()
    }

    /// What a disk says becomes what callers do: numbers of SQLite's and of the protocol's documents.
    @Test(arguments: [
        (ResultCode.SQLITE_FULL, RPCError.Code.unavailable), (.SQLITE_IOERR_WRITE, .unavailable),
        (.SQLITE_READONLY, .unavailable), (.SQLITE_CANTOPEN, .unavailable),
        (.SQLITE_CORRUPT, .dataLoss), (.SQLITE_NOTADB, .dataLoss), (.SQLITE_BUSY, .aborted),
    ])
    func aFailureOfTheDatabaseIsNoFaultOfTheRequest(
        sqlite: ResultCode,
        rpc: RPCError.Code
    ) throws {
        let error = try #require(StoreError(DatabaseError(resultCode: sqlite)))
        #expect(error.rpcError().code == rpc)
        #expect(
            rpc == .aborted || sqlite == .SQLITE_FULL || error.message.contains("gateway.sqlite")
        )
    }

    /// A folder that was made by hand is often everybody's to read; the jobs in it are their owners'.
    @Test(arguments: [true, false])
    func nobodyElseReadsTheFiles(isThere: Bool) async throws {
        let folder = NSTemporaryDirectory() + "/qat-modes-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(
            atPath: folder + "/logs",
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755]
        )
        let path = folder + "/gateway.sqlite"
        if isThere {
            try GatewayDatabase.open(path: path).close()
            chmod(path, 0o644)
        }
        let pool = try GatewayDatabase.open(path: path)
        let logs = try JobLogStore(folder: folder + "/logs")
        _ = try logs.append("j", offset: 0, [1])
        try await pool.write { db in try db.execute(sql: "UPDATE worker SET seen = 1") }
        for name in ["gateway.sqlite", "gateway.sqlite-wal", "gateway.sqlite-shm", "logs"] {
            let mode = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)[
                .posixPermissions
            ]
            #expect((mode as? Int ?? 0o777) & 0o077 == 0, "\(name)")
        }
        try pool.close()
    }
}
