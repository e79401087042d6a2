internal import Foundation

/// A lock that ends with its process.
enum FileLock {
    /// Runs `body` while no other process holds the lock; waits for it as long as it takes.
    static func whileHolding<Result: Sendable>(
        _ path: String,
        _ body: () async throws -> Result
    ) async throws -> Result {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw ClientError(.failed, "cannot open \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            try await Task.sleep(for: .milliseconds(100))
        }
        return try await body()
    }
}
