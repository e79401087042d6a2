internal import Jobs
internal import Logging
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import Gateway

/// What the sweeper takes for a pause of the gateway.
struct LeaseSweeperTests {
    /// Keeps what is logged.
    private struct Recorder: LogHandler {
        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { lines.add("\(event.message)") }
    }

    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    private final class Counter: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        /// Counts one more, and says how many there were before.
        func next() -> Int {
            count.withLock { count in
                defer { count += 1 }
                return count
            }
        }
    }

    /// Seen: 256 deadlines that ended at once made "the gateway stood still for 4.28 s", and every lease
    /// was renewed.
    @Test func aRoundWithMuchToDoIsNoPause() async throws {
        let store = MemoryJobStore()
        let calls = Counter()
        // A look at the clock takes as long as a round with much to do.
        let engine = JobEngine(
            store: store,
            leaseDuration: .seconds(30),
            clock: {
                if calls.next() == 0 {
                    let end = ContinuousClock.now + .milliseconds(3_100)
                    while ContinuousClock.now < end {}
                }
                return Moment(unix: 0, uptime: 0)
            }
        )
        let lines = Lines()
        let sweeper = LeaseSweeper(
            engine: engine,
            policies: PolicyFile(AccessPolicy()),
            logger: Logger(label: "test", factory: { _ in Recorder(lines: lines) }),
            wait: {
                try? await Task.sleep(for: .milliseconds(1))
                return .seconds(1)
            }
        )
        let task = Task { try await sweeper.run() }
        while calls.value < 12 { try await Task.sleep(for: .milliseconds(10)) }
        task.cancel()
        try await task.value
        #expect(lines.all.isEmpty)
    }

    /// A wait that took far longer than it should is one.
    @Test func aWaitThatTookFarTooLongIsAPause() async throws {
        let lines = Lines()
        let sweeper = LeaseSweeper(
            engine: JobEngine(store: MemoryJobStore(), leaseDuration: .seconds(30)),
            policies: PolicyFile(AccessPolicy()),
            logger: Logger(label: "test", factory: { _ in Recorder(lines: lines) }),
            wait: {
                try? await Task.sleep(for: .milliseconds(1))
                return .milliseconds(3_001)
            }
        )
        let task = Task { try await sweeper.run() }
        while lines.all.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        task.cancel()
        try await task.value
        #expect(lines.all.first?.contains("leases are renewed") == true)
    }
}
