internal import NIOCore
internal import Synchronization

/// What one stream wants to send: frames already encoded, the stream number left blank.
///
/// Tasks append, the event loop takes. A task that is too far ahead waits until the loop, and
/// behind it the peer's credit, has caught up.
final class CallOutbox: Sendable {
    /// Bytes that may wait before a writer must.
    private static let highWaterByteCount = 256 << 10

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

        var isFull: Bool {
            frames.readableBytes + heldByteCount > CallOutbox.highWaterByteCount
        }
    }

    private let state = Mutex(State())

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
            if var spare, spare.capacity <= 4 * Self.highWaterByteCount {
                spare.clear()
                state.spare = spare
            }
            return state.isFull ? nil : state.waiter.take()
        }
        waiter?.resume()
    }

    /// Ends the stream: later writes throw `error`.
    func fail(_ error: RPCError) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.failure == nil { state.failure = error }
            state.frames = ByteBuffer()
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Waits until there is room again.
    ///
    /// - Throws: ``RPCError`` if the stream fails or the task is cancelled.
    func waitForRoom() async throws {
        while true {
            let mustWait = try state.withLock { state in
                if let failure = state.failure { throw failure }
                return state.isFull
            }
            guard mustWait else { return }
            if Task.isCancelled { throw RPCError(.cancelled, "the call was cancelled") }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let goesOn = state.withLock { state in
                        if !state.isFull || state.failure != nil || Task.isCancelled { return true }
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
