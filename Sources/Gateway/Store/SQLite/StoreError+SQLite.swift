internal import GRDB

extension StoreError {
    /// What an error of SQLite means to callers; nil of others, and of those that mean nothing to them.
    static func ofSQLite(_ error: any Error) -> StoreError? {
        guard let error = error as? DatabaseError else { return nil }
        let sentence = "the gateway's database (gateway.sqlite): \(sentence(of: error))"
        return switch error.resultCode {
        case .SQLITE_FULL: .fullDisk
        case .SQLITE_BUSY, .SQLITE_LOCKED: StoreError(.busy, "the database is busy; try again")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: StoreError(.unusable, sentence)
        case .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_PERM:
            StoreError(.outOfOrder, sentence)
        default: nil
        }
    }

    /// What SQLite says, and what to do.
    static func sentence(of error: DatabaseError) -> String {
        let code = error.resultCode.rawValue
        let message = error.message ?? "it cannot be used"
        return "\(message) (SQLite \(code)); \(advice(error.resultCode))"
    }

    private static func advice(_ code: ResultCode) -> String {
        switch code {
        case .SQLITE_NOTADB, .SQLITE_CORRUPT:
            "it is damaged, or no database: \(GatewayDatabase.restoration)"
        case .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
            "the gateway must own it and its folder, and be allowed to write both"
        case .SQLITE_FULL: "make room on its disk"
        case .SQLITE_BUSY, .SQLITE_LOCKED: "another process uses it: end that one first"
        case .SQLITE_IOERR:
            "its disk fails: see the system's log, and \(GatewayDatabase.restoration)"
        default: GatewayDatabase.restoration
        }
    }
}
