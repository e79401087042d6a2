internal import Synchronization

/// What an attempt is told from outside, by the gateway or by the daemon that stops; the child hears it
/// as commands, and work of the daemon itself is cancelled by it.
final class AttemptOrders: Sendable {
    /// What ends work of the daemon itself.
    enum Interruption {
        /// A stop and all that is stricter: work without a result worth keeping.
        case stop
        /// A kill, and the loss of the lease.
        case kill
        /// A kill that somebody asked for. Not the loss of the lease: of that the gateway also tells when it
        /// has taken the very end that is being told.
        case killAskedFor
    }

    fileprivate struct State {
        var given: ComputeProcess.Command?
        var isKillAskedFor = false
        var isPause = false
        var work: (cancel: @Sendable () -> Void, interruption: Interruption)?
    }

    private let state = Mutex(State())
    private let input: AsyncStream<ComputeProcess.Command>.Continuation
    /// The orders, for the child.
    let commands: AsyncStream<ComputeProcess.Command>

    init() { (commands, input) = AsyncStream.makeStream() }

    /// The strictest order so far.
    var given: ComputeProcess.Command? { state.withLock { $0.given } }

    /// Whether somebody asked for a kill.
    var isKillAskedFor: Bool { state.withLock { $0.isKillAskedFor } }

    /// Whether the lease is another's by now, or nobody's, and nobody asked for a kill: there is nobody to
    /// tell an end to.
    var isLost: Bool { state.withLock { $0.given == .kill && !$0.isKillAskedFor } }

    /// Whether the last that somebody asked for was to stop and to go on some other time.
    var isPause: Bool { state.withLock { $0.isPause } }

    func give(_ command: ComputeProcess.Command) { take(command, isAskedFor: true) }

    /// A stop after which the lease is handed back.
    func pause() { take(.stop, isAskedFor: true, isPause: true) }

    /// The lease is lost: as a kill, but for what ``isLost`` says.
    func lose() { take(.kill, isAskedFor: false) }

    private func take(
        _ command: ComputeProcess.Command,
        isAskedFor: Bool,
        isPause: Bool = false
    ) {
        let cancel = state.withLock { state in
            if isAskedFor { state.isPause = isPause }
            if state.given != .kill { state.given = command }
            if command == .kill, isAskedFor { state.isKillAskedFor = true }
            return state.cancelsWork ? state.work?.cancel : nil
        }
        cancel?()
        input.yield(command)
    }

    /// No more orders will come.
    func finish() { input.finish() }

    /// Runs work that an order of a kind cancels, or did before.
    ///
    /// - Throws: What `body` throws, or `CancellationError`.
    func interruptible<Result: Sendable>(
        by interruption: Interruption,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let task = Task { try await body() }
        let isGiven = state.withLock { state in
            state.work = ({ task.cancel() }, interruption)
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
        switch work?.interruption {
        case nil: false
        case .stop: given != nil
        case .kill: given == .kill
        case .killAskedFor: isKillAskedFor
        }
    }
}
