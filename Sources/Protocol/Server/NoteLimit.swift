internal import Synchronization

/// Keeps what a peer causes from filling a log: so many notes a minute, then how many were left out.
public final class NoteLimit: Sendable {
    private struct State {
        var start: ContinuousClock.Instant?
        var count = 0
    }

    private let countPerMinute: Int
    private let state = Mutex(State())

    /// A limit that nothing was counted for yet.
    ///
    /// `countPerMinute`: Notes from the first one on for a minute, at least 1.
    public init(countPerMinute: Int = 10) {
        self.countPerMinute = countPerMinute
    }

    /// What to add to a note, usually nothing; nil if it is not to be written.
    ///
    /// `what`: What the notes that were left out are, after their number.
    public func note(at now: ContinuousClock.Instant = .now, of what: String = "") -> String? {
        state.withLock { state in
            guard let start = state.start, now - start < .seconds(60) else {
                let left = state.count - countPerMinute
                state = State(start: now, count: 1)
                return left > 0
                    ? " (\(left) more\(what) \(left == 1 ? "was" : "were") not noted)" : ""
            }
            state.count += 1
            return state.count <= countPerMinute ? "" : nil
        }
    }
}
