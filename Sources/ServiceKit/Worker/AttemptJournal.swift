internal import Foundation
internal import Jobs
internal import Protocol
internal import Synchronization

/// What one attempt has to tell the gateway: events and log bytes that wait for the next heartbeat.
///
/// While the gateway is away they gather here up to a limit; state is guarded by the mutex. Confirmations
/// name what was taken, by number and offset: two heartbeats that carry the same events (the periodic one
/// and the last one of an attempt) must not remove others in their place.
final class AttemptJournal: Sendable {
    private struct Entry {
        var event: JobEvent
        /// What it takes of a heartbeat.
        var byteCount: Int
    }

    private struct State {
        var events: [Entry] = []
        /// Events up to this number go one by one: the gateway refused them together.
        var narrowThrough: UInt64 = 0
        /// Events so far; each carries its number, so that the gateway takes it once.
        var eventCount: UInt64 = 0
        var log: [UInt8] = []
        /// Where the gateway's log ends; nil until it said so: an earlier attempt may have written to it.
        var logOffset: UInt64?
        /// What was given up since the gateway last took something, and that it was not told of yet.
        var leftOut = (events: 0, logBytes: 0)
        var phase = "prepare"
        /// How far the child came.
        var place = (step: 0, total: 0)
    }

    /// Log bytes kept while the gateway is away; the oldest go first.
    private static let logLimit = 4 << 20
    /// Events that one heartbeat carries.
    private static let batchSize = 64
    /// Bytes of events that one heartbeat carries: its other fields take a few hundred.
    private static let batchByteCount = JobLimits.messageBytes - (16 << 10)
    /// Events kept while the gateway is away.
    private static let eventLimit = 512

    private let state = Mutex(State())
    private let jobID: String
    /// Yields when a heartbeat is due at once.
    let isDue: AsyncStream<Void>
    private let due: AsyncStream<Void>.Continuation

    init(jobID: String) {
        self.jobID = jobID
        (isDue, due) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// The phase that heartbeats report.
    var phase: String { state.withLock { $0.phase } }

    func enter(phase: String) {
        state.withLock { $0.phase = Self.word(phase) }
        due.yield()
    }

    /// Tells of a phase of the worker's own, in which no child tells anything, at the place that the child came to.
    func tell(phase: String) {
        var event = ComputeEvent(.progress)
        let place = state.withLock { $0.place }
        event.phase = phase
        event.step = place.step
        event.totalSteps = place.total
        append(event)
    }

    /// Adds a line of the worker's own to the job's events and log.
    func note(_ line: String) {
        var event = ComputeEvent(.log)
        event.message = line
        append(event)
        appendLog(line)
    }

    func append(_ event: ComputeEvent) {
        var entry = JobEvent(jobID: jobID, timeUnixMs: Self.now)
        switch event.type {
        case .progress:
            entry.type = .progress
            entry.progress = JobProgress(
                step: UInt64(clamping: event.step ?? 0),
                totalSteps: UInt64(clamping: event.totalSteps ?? 0),
                loss: event.loss,
                learningRate: event.learningRate,
                tokensPerSecond: event.tokensPerSecond,
                etaSeconds: event.etaSeconds,
                precision: Self.word(event.precision ?? ""),
                phase: Self.word(event.phase ?? "")
            )
        case .metric:
            entry.progress = event.step.map { JobProgress(step: UInt64(clamping: $0)) }
            Self.put(metrics: Array((event.json ?? "{}").utf8), into: &entry)
        case .alive, .replica: return
        case .log, .checkpoint, .result, .error:
            entry.type = .log
            entry.message = Self.line(event.message ?? "")
        }
        let byteCount = Self.byteCount(of: entry)
        state.withLock { state in
            if let phase = event.phase {
                state.phase = Self.word(phase)
            }
            if event.type == .progress {
                state.place = (event.step ?? 0, event.totalSteps ?? 0)
            }
            if let last = state.events.last?.event, Self.isSuperseded(last, by: entry) {
                state.events.removeLast()
            } else if state.events.count >= Self.eventLimit {
                // Lines of the log matter more: the oldest progress or metric is given up.
                state.events.remove(at: state.events.firstIndex { $0.event.type != .log } ?? 0)
                state.leftOut.events += 1
            }
            state.eventCount += 1
            entry.seq = state.eventCount
            state.events.append(Entry(event: entry, byteCount: byteCount))
        }
        due.yield()
    }

    /// Whether a later event of the same phase makes an unsent one worthless.
    ///
    /// Every training step that is told is kept: its loss is a point of the curve.
    private static func isSuperseded(_ last: JobEvent, by next: JobEvent) -> Bool {
        guard let earlier = last.progress, let later = next.progress,
            last.type == .progress, next.type == .progress
        else {
            return false
        }
        return earlier.phase == later.phase && earlier.loss == nil && later.loss == nil
    }

    func appendLog(_ line: String) {
        state.withLock { state in
            state.log.append(contentsOf: Array((line + "\n").utf8))
            if state.log.count > Self.logLimit {
                state.leftOut.logBytes += state.log.count - Self.logLimit
                state.log.removeFirst(state.log.count - Self.logLimit)
            }
        }
    }

    /// Whether more waits than one heartbeat carries: small models take hundreds of steps a second, and
    /// metrics of deep ones are long.
    var isBehind: Bool { state.withLock { $0.events.count > Self.batchCount($0) } }

    /// The next events in order, as many as one heartbeat carries, left in place until
    /// ``confirm(through:)`` or ``refuse(_:because:)``.
    func pendingEvents() -> [JobEvent] {
        state.withLock { $0.events.prefix(Self.batchCount($0)).map(\.event) }
    }

    /// How many of the events go together: at least one, which fits whatever it is.
    private static func batchCount(_ state: State) -> Int {
        guard let first = state.events.first else { return 0 }
        guard first.event.seq > state.narrowThrough else { return 1 }
        var total = 0
        let fitting = state.events.prefix(batchSize).prefix { entry in
            total += entry.byteCount
            return total <= batchByteCount
        }
        return max(1, fitting.count)
    }

    /// Forgets the events up to and with this number: the gateway has them.
    ///
    /// It is back then: what could not be kept while it was away is said in a line after what was.
    func confirm(through number: UInt64) {
        let isMore = state.withLock { state in
            state.events.removeAll { $0.event.seq <= number }
            tellLeftOut(&state)
            return !state.events.isEmpty
        }
        if isMore {
            due.yield()
        }
    }

    private func tellLeftOut(_ state: inout State) {
        let (events, logBytes) = state.leftOut
        guard events > 0 || logBytes > 0 else { return }
        state.leftOut = (0, 0)
        let parts =
            (events > 0 ? ["\(events) \(events == 1 ? "event" : "events")"] : [])
            + (logBytes > 0 ? ["\(logBytes) bytes of the log"] : [])
        var remark = JobEvent(jobID: jobID, timeUnixMs: Self.now)
        remark.type = .log
        remark.message =
            "while the gateway could not be reached more came than a worker keeps: "
            + parts.joined(separator: " and ") + " were left out"
        state.eventCount += 1
        remark.seq = state.eventCount
        state.events.append(Entry(event: remark, byteCount: Self.byteCount(of: remark)))
    }

    private static var now: Int64 { Int64(Date.now.timeIntervalSince1970 * 1000) }

    /// What the gateway will not take must not keep what follows, nor the lease.
    ///
    /// Several events are tried one by one; one alone becomes a line that says so, and a line goes.
    func refuse(_ events: [JobEvent], because reason: String) {
        guard let first = events.first, let last = events.last else { return }
        state.withLock { state in
            guard events.count == 1 else {
                state.narrowThrough = max(state.narrowThrough, last.seq)
                return
            }
            // Two heartbeats may have carried it.
            guard let index = state.events.firstIndex(where: { $0.event.seq == first.seq }),
                state.events[index].event == first
            else { return }
            guard first.type != .log else {
                state.events.remove(at: index)
                return
            }
            var remark = first
            remark.type = .log
            remark.progress = nil
            remark.metricsJSON = []
            remark.message = Self.line("an event was left out, the gateway refused it: \(reason)")
            state.events[index] = Entry(event: remark, byteCount: Self.byteCount(of: remark))
        }
        due.yield()
    }

    /// The next log bytes and where they go, or nil; no bytes where the gateway's end is not known.
    ///
    /// A piece of an earlier attempt may be as long as this one's, and its end look like the end of it.
    func pendingLog() -> (offset: UInt64, bytes: [UInt8])? {
        state.withLock { state in
            guard !state.log.isEmpty else { return nil }
            guard let offset = state.logOffset else { return (0, []) }
            return (offset, Array(state.log.prefix(32 << 10)))
        }
    }

    /// Goes on with the log where the gateway says it ends, after a piece of it was sent.
    ///
    /// When that is not behind the piece, the piece is sent again. A piece whose answer came already is
    /// left alone.
    func settleLog(sentAt offset: UInt64, byteCount: Int, nextOffset: UInt64) {
        state.withLock { state in
            guard byteCount == 0 ? state.logOffset == nil : state.logOffset == offset else {
                return
            }
            if nextOffset == offset + UInt64(byteCount) {
                state.log.removeFirst(min(byteCount, state.log.count))
            }
            state.logOffset = nextOffset
        }
    }

    func finish() {
        due.finish()
    }
}

// No event is larger than what the gateway keeps of one, so that each fits into a heartbeat.
extension AttemptJournal {
    private static let limits = JobLimits()

    /// What an event takes of a heartbeat at most: with its number, a tag and its length.
    private static func byteCount(of event: JobEvent) -> Int {
        ((try? event.encoded().count) ?? JobLimits.messageBytes) + 24
    }

    private static func line(_ text: String) -> String {
        PlainText.cut(text, byteLimit: limits.sentenceBytes * 2)
    }

    private static func word(_ text: String) -> String {
        PlainText.cut(text, byteLimit: limits.wordBytes)
    }

    private static func put(metrics: [UInt8], into event: inout JobEvent) {
        guard metrics.count > limits.metricBytes else {
            event.type = .metric
            event.metricsJSON = metrics
            return
        }
        event.type = .log
        event.message =
            "metrics of \(metrics.count) bytes were left out; the limit is \(limits.metricBytes)"
    }
}
