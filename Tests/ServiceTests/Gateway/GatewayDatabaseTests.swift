internal import Foundation
internal import GRDB
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
        #expect(throws: (any Error).self) { try GatewayDatabase.open(path: path) }
    }
}
