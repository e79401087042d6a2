internal import GRDB

extension StoreError {
    /// What an error of SQLite means to callers; nil of others, and of those that mean nothing to them.
    static func ofSQLite(_ error: any Error) -> StoreError? {
        switch (error as? DatabaseError)?.resultCode {
        case .SQLITE_FULL?: .fullDisk
        case .SQLITE_BUSY?: StoreError(.busy, "the database is busy; try again")
        default: nil
        }
    }
}
