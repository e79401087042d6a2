internal import NIOCore
internal import Synchronization

/// How tasks reach a connection's event loop: a queue that wakes the loop once per batch.
final class ConnectionLink: Sendable {
    /// Something for the loop to do.
    enum Work {
        case send(CallStream)
        case open(CallStream, timeout: Duration?)
        case cancel(CallStream, RPCError)
        case returned(CallStream)
        case drain
        case close(RPCError)
    }

    private struct State {
        var work: [Work] = []
        var wake: (@Sendable () -> Void)?
        /// Why the connection is over, once it is.
        var end: RPCError?
    }

    /// Bytes that came and nobody has taken yet, on all streams.
    let untaken = ByteMeter()
    /// Bytes that wait to be sent, on all streams.
    let unsent = ByteMeter()
    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Whether the connection is open still.
    var isOpen: Bool { state.withLock { $0.end == nil } }

    /// Names what the loop runs when there is work.
    func onWork(_ wake: @escaping @Sendable () -> Void) {
        state.withLock { $0.wake = wake }
    }

    /// Lets go of the handler, which holds this link; what is asked from now on is refused.
    func end(_ error: RPCError) {
        let left = state.withLock { state in
            state.wake = nil
            state.end = error
            defer { state.work = [] }
            return state.work
        }
        for work in left { Self.refuse(work, error) }
    }

    /// The stream has frames to send or credit to give.
    func schedule(_ stream: CallStream) { post(.send(stream)) }

    /// The stream is new; it gets its number when the loop takes it.
    func open(_ stream: CallStream, timeout: Duration?) {
        post(.open(stream, timeout: timeout))
    }

    /// The caller of the stream gave up.
    func cancel(_ stream: CallStream, _ error: RPCError) { post(.cancel(stream, error)) }

    /// The handler of the stream has returned.
    func handlerReturned(_ stream: CallStream) { post(.returned(stream)) }

    /// No new calls; close when the running ones are done.
    func drain() { post(.drain) }

    /// Close now.
    func close(_ error: RPCError) { post(.close(error)) }

    /// What to do, in order.
    func takeWork() -> [Work] {
        state.withLock { state in
            var work: [Work] = []
            swap(&work, &state.work)
            return work
        }
    }

    private func post(_ work: Work) {
        let (wake, end) = state.withLock { state -> ((@Sendable () -> Void)?, RPCError?) in
            guard state.end == nil else { return (nil, state.end) }
            state.work.append(work)
            return (state.work.count == 1 ? state.wake : nil, nil)
        }
        if let end { Self.refuse(work, end) }
        if let wake { eventLoop.execute(wake) }
    }

    /// Nobody waits for the other kinds of work.
    private static func refuse(_ work: Work, _ cause: RPCError) {
        switch work {
        case .open(let stream, _), .send(let stream):
            let error = RPCError(
                .unavailable,
                cause.message,
                category: .reconnect,
                processed: .no
            )
            stream.inbox.finish(.failed(error))
            stream.outbox.fail(error)
        case .cancel, .returned, .drain, .close: break
        }
    }
}
