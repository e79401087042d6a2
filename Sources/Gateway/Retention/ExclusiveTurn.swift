internal import Synchronization

/// Lets one caller at a time do something large.
final class ExclusiveTurn: Sendable {
    private let isTaken = Mutex(false)

    /// Runs `body` unless somebody else is at it.
    ///
    /// - Throws: ``StoreError`` (`busy`) while somebody is; what `body` throws.
    func run<Result>(_ what: String, _ body: () async throws -> Result) async throws -> Result {
        let isFree = isTaken.withLock { isTaken in
            defer { isTaken = true }
            return !isTaken
        }
        guard isFree else {
            throw StoreError(.busy, "\(what) is under way already; try again when it is done")
        }
        defer { isTaken.withLock { $0 = false } }
        return try await body()
    }
}
