internal import Synchronization

/// How long an attempt of a daemon that stops may still wait for its gateway.
///
/// The time begins when the daemon has been asked to stop and the compute child is over, whichever comes
/// last: a child has a grace of its own. At its end all work that was begun by ``bounded(reserving:_:)`` is
/// cancelled, and what begins later is cancelled at once.
final class StopLimit: Sendable {
    private struct State {
        var isStopping = false
        var isComputing = true
        var end: ContinuousClock.Instant?
        var works: [Int: Work] = [:]
        var lastKey = 0
    }

    private struct Work {
        /// How long before the end it is cancelled.
        let reserve: Duration
        let cancel: @Sendable () -> Void
        var timer: Task<Void, Never>?
    }

    private let limit: Duration
    private let state = Mutex(State())

    init(_ limit: Duration) { self.limit = limit }

    /// The daemon was asked to stop.
    func beginStopping() { change { $0.isStopping = true } }

    /// The child is over, or was never started.
    func endComputing() { change { $0.isComputing = false } }

    /// Whether the time has begun and is over, or will be within `reserve`.
    func isOver(reserving reserve: Duration = .zero) -> Bool {
        state.withLock { $0.end.map { $0 - reserve <= .now } ?? false }
    }

    /// Runs work that is cancelled `reserve` before the time is over.
    ///
    /// - Throws: What `body` throws; that is its own affair after a cancellation.
    func bounded<Result: Sendable>(
        reserving reserve: Duration = .zero,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let task = Task { try await body() }
        let key = state.withLock { state in
            state.lastKey += 1
            state.works[state.lastKey] = Work(reserve: reserve, cancel: { task.cancel() })
            Self.startTimers(&state)
            return state.lastKey
        }
        defer { state.withLock { $0.works.removeValue(forKey: key) }?.timer?.cancel() }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            body(&state)
            guard state.isStopping, !state.isComputing, state.end == nil else { return }
            state.end = .now + limit
            Self.startTimers(&state)
        }
    }

    private static func startTimers(_ state: inout State) {
        guard let end = state.end else { return }
        for (key, work) in state.works where work.timer == nil {
            let until = end - work.reserve
            state.works[key]?.timer = Task {
                try? await Task.sleep(until: until, clock: .continuous)
                // Work that is done needs no end.
                if !Task.isCancelled { work.cancel() }
            }
        }
    }
}
