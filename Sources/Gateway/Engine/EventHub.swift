internal import Synchronization

/// Wakes tasks when something may have changed; what changed they read from the database.
///
/// A subscriber that was signalled before it waits does not sleep, so nothing is missed between
/// reading and waiting.
final class EventHub: Sendable {
    private struct State {
        var next: UInt64 = 0
        var isClosed = false
        var subscribers: [String: [UInt64: AsyncStream<Void>.Continuation]] = [:]
    }

    private let state = Mutex(State())

    /// A stream that yields after each ``signal(_:)`` of a topic, collapsed while nobody looks; it ends
    /// with ``close()``.
    func subscribe(_ topic: String) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(
            bufferingPolicy: .bufferingNewest(1)
        )
        let id = state.withLock { state -> UInt64? in
            guard !state.isClosed else { return nil }
            state.next += 1
            state.subscribers[topic, default: [:]][state.next] = continuation
            return state.next
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.remove(id, topic)
        }
        return stream
    }

    /// Wakes a topic's subscribers.
    func signal(_ topic: String) {
        let continuations = state.withLock { $0.subscribers[topic].map { Array($0.values) } ?? [] }
        for continuation in continuations {
            continuation.yield()
        }
    }

    /// Wakes the subscribers of all topics.
    func signalAll() {
        let continuations = state.withLock { $0.subscribers.values.flatMap(\.values) }
        for continuation in continuations { continuation.yield() }
    }

    /// Ends all streams, and those that are subscribed to later at once.
    func close() {
        let continuations = state.withLock { state in
            state.isClosed = true
            return state.subscribers.values.flatMap(\.values)
        }
        for continuation in continuations { continuation.finish() }
    }

    /// How many wait for a topic.
    func subscriberCount(_ topic: String) -> Int {
        state.withLock { $0.subscribers[topic]?.count ?? 0 }
    }

    private func remove(_ id: UInt64, _ topic: String) {
        state.withLock { state in
            state.subscribers[topic]?[id] = nil
            if state.subscribers[topic]?.isEmpty == true {
                state.subscribers[topic] = nil
            }
        }
    }
}
