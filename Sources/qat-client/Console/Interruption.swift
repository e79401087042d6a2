internal import Foundation

/// Signals and deadlines that end a wait.
enum Interruption {
    /// Runs `body` until it is done or the user presses Ctrl-C; then it is cancelled.
    ///
    /// - Returns: The result, or nil after Ctrl-C or another of the signals.
    static func untilInterrupted<Result: Sendable>(
        by numbers: [Int32] = [SIGINT],
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result? {
        // They count from here on, not only once a task gets to listen.
        let signals = SignalPipe.shared.signals(numbers)
        return try await race(body) {
            for await _ in signals {
                break
            }
        }
    }

    /// Runs `body` until it is done or the time is up; then it is cancelled.
    ///
    /// - Returns: The result, or nil when the time is up.
    static func within<Result: Sendable>(
        _ limit: Duration?,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result? {
        guard let limit else {
            return try await body()
        }
        return try await race(body) {
            try? await Task.sleep(for: limit)
        }
    }

    private static func race<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result,
        against end: @escaping @Sendable () async -> Void
    ) async throws -> Result? {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                await end()
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }
}
