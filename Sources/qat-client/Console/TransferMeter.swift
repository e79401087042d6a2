internal import Synchronization

/// Shows on a terminal how far a transfer is, some times a second; elsewhere nothing is shown.
final class TransferMeter: Sendable {
    /// Bytes at a moment.
    private struct Sample {
        var at: Duration
        var done: UInt64
    }

    private struct State {
        /// The last seconds, the oldest first: the speed is theirs.
        var samples: [Sample] = []
        var shown: Duration?
    }

    private static let redrawn = Duration.milliseconds(100)
    private static let sampled = Duration.milliseconds(250)
    private static let sampleCount = 20

    private let verb: String
    private let isShown: Bool
    private let now: @Sendable () -> Duration
    private let columns: @Sendable () -> Int
    private let write: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// A meter that nothing was told yet.
    ///
    /// `now`: The time since whenever. `columns`: The terminal's. `write`: Puts a line in place of the last.
    init(
        _ verb: String,
        isShown: Bool = Console.showsNotesOnTerminal,
        now: @escaping @Sendable () -> Duration = TransferMeter.uptime,
        columns: @escaping @Sendable () -> Int = { Console.noteColumns },
        write: @escaping @Sendable (String) -> Void = { Console.overwriteNote($0) }
    ) {
        self.verb = verb
        self.isShown = isShown
        self.now = now
        self.columns = columns
        self.write = write
    }

    private static let start = ContinuousClock.now
    private static func uptime() -> Duration { ContinuousClock.now - start }

    /// Takes notice of how far it is.
    ///
    /// `done`: Bytes so far, those included that were there before. `total`: All; nil if nobody knows.
    /// `file`: The one under way.
    func advance(to done: UInt64, of total: UInt64?, file: String) {
        guard isShown else { return }
        let moment = now()
        let line: TransferLine? = state.withLock { state in
            let rate = Self.note(done, at: moment, in: &state)
            // What takes no time is not worth a line that flickers.
            guard let first = state.samples.first, moment - first.at >= Self.redrawn else {
                return nil
            }
            if let shown = state.shown, moment - shown < Self.redrawn, done != total { return nil }
            state.shown = moment
            return TransferLine(
                verb: verb,
                done: done,
                total: total,
                bytesPerSecond: rate,
                file: file
            )
        }
        if let line { write(line.text(columns: columns())) }
    }

    /// Takes the line away.
    func clear() {
        let wasShown = state.withLock { state in
            defer { state.shown = nil }
            return state.shown != nil
        }
        if wasShown { write("") }
    }

    /// The speed of the last seconds, nil of less than one sample's time.
    private static func note(_ done: UInt64, at moment: Duration, in state: inout State) -> Double?
    {
        // Another attempt at a file begins where it stood.
        if let last = state.samples.last, done < last.done { state.samples = [] }
        if state.samples.last.map({ moment - $0.at >= sampled }) ?? true {
            state.samples.append(Sample(at: moment, done: done))
            if state.samples.count > sampleCount { state.samples.removeFirst() }
        }
        guard let first = state.samples.first, moment - first.at >= sampled else { return nil }
        return Double(done - first.done) / ((moment - first.at) / .seconds(1))
    }
}
