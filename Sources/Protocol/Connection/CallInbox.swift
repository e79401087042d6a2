internal import NIOCore
internal import Synchronization

/// What has arrived on one stream and was not yet consumed.
///
/// The event loop appends, one task consumes; neither waits for the other. The bytes are bounded
/// by the stream's credit.
final class CallInbox: Sendable {
    private static let recordHeaderByteCount = 8

    /// Arrivals taken in one go.
    struct Batch {
        /// Records of `length u32 | credit u32 | payload`.
        var records: ByteBuffer
    }

    /// How a stream's arrivals end.
    enum End {
        /// The peer finished: half-closed at a server, OK at a client.
        case finished
        case failed(RPCError)
    }

    private struct State {
        var records = ByteBuffer()
        var end: End?
        var waiter: CheckedContinuation<Void, Never>?
        /// Whether the waiter wants the end, not just more.
        var waitsForEnd = false
    }

    private let state = Mutex(State())
    private let meter: ByteMeter

    /// An inbox whose bytes count on the connection's meter until they are taken.
    init(meter: ByteMeter) { self.meter = meter }

    deinit { meter.add(-state.withLock { $0.records.readableBytes }) }

    /// Adds a whole message or a piece of a blob that cost `credit` bytes.
    func append(_ payload: ByteBuffer, credit: Int) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.end == nil else { return nil }
            state.records.writeMultipleIntegers(UInt32(payload.readableBytes), UInt32(credit))
            state.records.writeImmutableBuffer(payload)
            meter.add(payload.readableBytes + Self.recordHeaderByteCount)
            return state.waitsForEnd ? nil : state.waiter.take()
        }
        waiter?.resume()
    }

    /// Ends the stream; the first end stands.
    func finish(_ end: End) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.end == nil else { return nil }
            state.end = end
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Whether the stream has ended, consumed or not.
    var isFinished: Bool { state.withLock { $0.end != nil } }

    /// Everything that has arrived, once something has; nil after the end.
    ///
    /// `spare`: Storage of an earlier batch, consumed by now, to fill next.
    ///
    /// - Throws: ``RPCError`` if the stream failed or the task was cancelled.
    func next(spare: ByteBuffer = ByteBuffer()) async throws -> Batch? {
        while true {
            if let outcome = state.withLock({ Self.take(&$0, spare, meter) }) {
                return try outcome.get()
            }
            try await wait(forEnd: false)
        }
    }

    /// Everything that has arrived, once the stream has ended: one wake for a unary reply.
    ///
    /// - Throws: ``RPCError`` if the stream failed or the task was cancelled.
    func all() async throws -> Batch {
        while true {
            let outcome = state.withLock { state -> Result<Batch, RPCError>? in
                switch state.end {
                case .none: nil
                case .finished: .success(Batch(records: state.records))
                case .failed(let error): .failure(error)
                }
            }
            if let outcome { return try outcome.get() }
            try await wait(forEnd: true)
        }
    }

    private func wait(forEnd: Bool) async throws {
        while true {
            if state.withLock({ Self.isReady($0, forEnd) }) { return }
            if Task.isCancelled { throw RPCError(.cancelled, "the call was cancelled") }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let goesOn = state.withLock { state in
                        if Self.isReady(state, forEnd) || Task.isCancelled { return true }
                        state.waitsForEnd = forEnd
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

    private static func isReady(_ state: State, _ forEnd: Bool) -> Bool {
        state.end != nil || (!forEnd && state.records.readableBytes > 0)
    }

    private static func take(
        _ state: inout State,
        _ spare: ByteBuffer,
        _ meter: ByteMeter
    ) -> Result<Batch?, RPCError>? {
        if state.records.readableBytes > 0 {
            let batch = Batch(records: state.records)
            meter.add(-batch.records.readableBytes)
            state.records = spare
            return .success(batch)
        }
        switch state.end {
        case .none: return nil
        case .finished: return .success(nil)
        case .failed(let error): return .failure(error)
        }
    }
}
