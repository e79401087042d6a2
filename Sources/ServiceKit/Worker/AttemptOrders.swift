internal import Synchronization

/// What an attempt is told from outside, by the gateway or by the daemon that stops; the child hears it
/// as commands, and work of the daemon itself is cancelled by it.
final class AttemptOrders: Sendable {
    fileprivate struct State {
        var given: ComputeProcess.Command?
        var work: (cancel: @Sendable () -> Void, isStoppable: Bool)?
    }

    private let state = Mutex(State())
    private let input: AsyncStream<ComputeProcess.Command>.Continuation
    /// The orders, for the child.
    let commands: AsyncStream<ComputeProcess.Command>

    init() { (commands, input) = AsyncStream.makeStream() }

    /// The strictest order so far.
    var given: ComputeProcess.Command? { state.withLock { $0.given } }

    func give(_ command: ComputeProcess.Command) {
        let cancel = state.withLock { state in
            if state.given != .kill { state.given = command }
            return state.cancelsWork ? state.work?.cancel : nil
        }
        cancel?()
        input.yield(command)
    }

    /// No more orders will come.
    func finish() { input.finish() }

    /// Runs work that a kill cancels, and a stop, too, if `isStoppable`: work without a result worth
    /// keeping.
    ///
    /// - Throws: What `body` throws, or `CancellationError`.
    func interruptible<Result: Sendable>(
        isStoppable: Bool,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let task = Task { try await body() }
        let isGiven = state.withLock { state in
            state.work = ({ task.cancel() }, isStoppable)
            return state.cancelsWork
        }
        if isGiven { task.cancel() }
        defer { state.withLock { $0.work = nil } }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }
}

extension AttemptOrders.State {
    fileprivate var cancelsWork: Bool {
        switch given {
        case .kill: true
        case .stop: work?.isStoppable == true
        case nil: false
        }
    }
}
