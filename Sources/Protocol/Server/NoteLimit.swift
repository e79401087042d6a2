internal import Synchronization

/// Keeps what a peer causes from filling a log: ten notes a minute, then how many were left out.
public final class NoteLimit: Sendable {
    private struct State {
        var start: ContinuousClock.Instant?
        var count = 0
    }

    private static let countPerMinute = 10

    private let state = Mutex(State())

    /// A limit that nothing was counted for yet.
    public init() {}

    /// What to add to a note, usually nothing; nil if it is not to be written.
    public func note(at now: ContinuousClock.Instant = .now) -> String? {
        state.withLock { state in
            guard let start = state.start, now - start < .seconds(60) else {
                let left = state.count - Self.countPerMinute
                state = State(start: now, count: 1)
                return left > 0 ? " (\(left) more were not noted)" : ""
            }
            state.count += 1
            return state.count <= Self.countPerMinute ? "" : nil
        }
    }
}
