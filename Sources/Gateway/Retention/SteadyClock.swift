internal import Jobs
internal import Synchronization

/// Whether ages can be counted now: asked by everything that does away with what is old, by itself or for a
/// caller, so that a wall clock which was set ahead makes nothing old for any of them.
final class SteadyClock: Sendable {
    private let time: Mutex<SteadyTime>
    private let elapsed: @Sendable () -> Int64

    /// A clock that has seen nothing yet.
    ///
    /// `lastKnown`: When something last happened that is known of, in Unix milliseconds. `elapsed`: Milliseconds
    /// on a clock that never jumps, and goes on while the machine sleeps.
    init(
        lastKnown: Int64? = nil,
        elapsed: @escaping @Sendable () -> Int64 = SteadyClock.continuous()
    ) {
        time = Mutex(SteadyTime(lastKnown: lastKnown))
        self.elapsed = elapsed
    }

    /// Whether ages can be counted at a time of the wall clock, in Unix milliseconds.
    func admits(_ unix: Int64) -> Bool {
        time.withLock { $0.admits(unix: unix, elapsed: elapsed()) }
    }

    private static func continuous() -> @Sendable () -> Int64 {
        let start = ContinuousClock.now
        return { Int64(start.duration(to: .now) / .milliseconds(1)) }
    }
}
