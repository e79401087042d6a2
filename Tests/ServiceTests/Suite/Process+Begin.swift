internal import Foundation
internal import Synchronization

extension Process {
    private static let launching = Mutex(())

    /// Starts the process, one at a time in all tests: starts that overlap read each other's freed memory
    /// in Foundation (seen with some hundred at once).
    func begin() throws {
        try Self.launching.withLock { _ in try run() }
    }
}
