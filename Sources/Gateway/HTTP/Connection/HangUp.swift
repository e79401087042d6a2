internal import NIOCore
internal import Synchronization

/// That a caller hangs up, and what ends then.
///
/// A caller who closes half of its connection, and only reads on, counts as gone: nothing tells one from
/// the other until something is written.
final class HangUp: Sendable {
    private struct State {
        var isOver = false
        var work: Task<Void, any Error>?
    }

    private let state = Mutex(State())

    /// Does something for as long as the caller is there; cancelled when they are not.
    func whileConnected(_ body: @escaping @Sendable () async throws -> Void) async throws {
        // The bridge from the event loop's callback to the task that it cancels.
        let task = Task(operation: body)
        let isOver = state.withLock { state in
            state.work = task
            return state.isOver
        }
        if isOver { task.cancel() }
        defer { state.withLock { $0.work = nil } }
        try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// Whether the caller is there.
    var isConnected: Bool { state.withLock { !$0.isOver } }

    fileprivate func happened() {
        let task = state.withLock { state in
            state.isOver = true
            return state.work
        }
        task?.cancel()
    }
}

/// Sees that a caller hangs up, whether or not anybody reads what they sent.
final class HangUpHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let hangUp: HangUp

    init(_ hangUp: HangUp) { self.hangUp = hangUp }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { hangUp.happened() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        hangUp.happened()
        context.fireChannelInactive()
    }
}
