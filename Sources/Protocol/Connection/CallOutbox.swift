internal import NIOCore
internal import Synchronization

/// What one stream wants to send: frames already encoded, the stream number left blank.
///
/// Tasks append, the event loop takes. A task that is too far ahead waits until the loop, and
/// behind it the peer's credit, has caught up.
final class CallOutbox: Sendable {
    /// Bytes that may wait before a writer must.
    private static let highWaterByteCount = 256 << 10
    /// Bytes of all streams together that may wait before a writer must wait for its own.
    private static let sharedHighWaterByteCount = 2 << 20

    private struct State {
        var frames = ByteBuffer()
        /// Empty storage to fill next.
        var spare = ByteBuffer()
        /// Bytes taken by the loop which still wait for credit.
        var heldByteCount = 0
        var credit = 0
        var isScheduled = false
        var failure: RPCError?
        var isEnded = false
        var waiter: CheckedContinuation<Void, Never>?
        /// Waits for the stream's end.
        var endWaiter: CheckedContinuation<Void, Never>?

        func isFull(_ meter: ByteMeter) -> Bool {
            let own = frames.readableBytes + heldByteCount
            return own > CallOutbox.highWaterByteCount
                || own > 0 && meter.byteCount > CallOutbox.sharedHighWaterByteCount
        }
    }

    private let state = Mutex(State())
    private let meter: ByteMeter

    /// An outbox whose bytes count on the connection's meter until they are sent.
    init(meter: ByteMeter) { self.meter = meter }

    deinit {
        meter.add(-state.withLock { $0.frames.readableBytes + $0.heldByteCount })
    }

    /// Whether the streams of the connection are far ahead of the peer: then pieces are small.
    var isConnectionBehind: Bool { meter.byteCount > Self.sharedHighWaterByteCount }

    /// Runs `body` on the pending frames; true if the loop must be told about them.
    ///
    /// - Throws: ``RPCError`` if the stream is over, or what `body` throws.
    func append(ending: Bool = false, _ body: (inout ByteBuffer) throws -> Void) throws -> Bool {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            guard !state.isEnded else {
                throw RPCError(.failedPrecondition, "the stream was already finished")
            }
            if state.frames.capacity == 0 { swap(&state.frames, &state.spare) }
            let before = state.frames.readableBytes
            defer { meter.add(state.frames.readableBytes - before) }
            try body(&state.frames)
            state.isEnded = ending
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
    }

    /// Notes consumed bytes; true if the loop must be told that credit goes back.
    func giveBack(_ byteCount: Int, threshold: Int) -> Bool {
        state.withLock { state in
            guard state.failure == nil else { return false }
            state.credit += byteCount
            guard state.credit >= threshold, !state.isScheduled else { return false }
            state.isScheduled = true
            return true
        }
    }

    /// What the loop is to send: the frames, and the credit to grant.
    func take() -> (frames: ByteBuffer, credit: Int) {
        state.withLock { state in
            state.isScheduled = false
            defer {
                state.heldByteCount += state.frames.readableBytes
                state.frames = ByteBuffer()
                state.credit = 0
            }
            return (state.frames, state.credit)
        }
    }

    /// The loop has sent bytes that it held, and may return their storage.
    func didSend(_ byteCount: Int, spare: ByteBuffer?) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.heldByteCount -= byteCount
            meter.add(-byteCount)
            let limit = isConnectionBehind ? 0 : 4 * Self.highWaterByteCount
            if var spare, spare.capacity <= limit {
                spare.clear()
                state.spare = spare
            }
            return state.isFull(meter) ? nil : state.waiter.take()
        }
        waiter?.resume()
    }

    /// Ends the stream: later writes throw `error`.
    func fail(_ error: RPCError) {
        let waiters = state.withLock { state in
            if state.failure == nil { state.failure = error }
            meter.add(-state.frames.readableBytes - state.heldByteCount)
            state.frames = ByteBuffer()
            state.heldByteCount = 0
            return [state.waiter.take(), state.endWaiter.take()]
        }
        for waiter in waiters { waiter?.resume() }
    }

    /// Waits until all is sent, or never will be: the stream is over.
    func waitUntilOver() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.failure == nil { state.endWaiter = continuation }
                return state.failure != nil
            }
            if isOver { continuation.resume() }
        }
    }

    /// Waits until there is room again.
    ///
    /// - Throws: ``RPCError`` if the stream fails or the task is cancelled.
    func waitForRoom() async throws {
        while true {
            let mustWait = try state.withLock { state in
                if let failure = state.failure { throw failure }
                return state.isFull(meter)
            }
            guard mustWait else { return }
            if Task.isCancelled { throw RPCError(.cancelled, "the call was cancelled") }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let goesOn = state.withLock { state in
                        if !state.isFull(meter) || state.failure != nil || Task.isCancelled {
                            return true
                        }
                        state.waiter = continuation
                        return false
                    }
                    if goesOn { continuation.resume() }
                }
            } onCancel: {
                state.withLock { $0.waiter.take() }?.resume()
            }
        }
    }
}
