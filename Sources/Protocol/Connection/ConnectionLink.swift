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
    }

    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Names what the loop runs when there is work.
    func onWork(_ wake: @escaping @Sendable () -> Void) {
        state.withLock { $0.wake = wake }
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
        let wake = state.withLock { state -> (@Sendable () -> Void)? in
            state.work.append(work)
            return state.work.count == 1 ? state.wake : nil
        }
        if let wake { eventLoop.execute(wake) }
    }
}
