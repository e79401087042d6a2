internal import Foundation
internal import Protocol
internal import Synchronization

/// What one attempt has to tell the gateway: events and log bytes that wait for the next heartbeat.
///
/// While the gateway is away they gather here up to a limit; state is guarded by the mutex.
final class AttemptJournal: Sendable {
    private struct State {
        var events: [JobEvent] = []
        /// How many events, from the first, a heartbeat is carrying now; these stay as they are.
        var inFlightCount = 0
        /// Events so far; each carries its number, so that the gateway takes it once.
        var eventCount: UInt64 = 0
        var log: [UInt8] = []
        var logOffset: UInt64 = 0
        var phase = "prepare"
    }

    /// Log bytes kept while the gateway is away; the oldest go first.
    private static let logLimit = 4 << 20
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
        state.withLock { $0.phase = phase }
        due.yield()
    }

    func append(_ event: ComputeEvent) {
        let now = Int64(Date.now.timeIntervalSince1970 * 1000)
        var entry = JobEvent(jobID: jobID, timeUnixMs: now)
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
                precision: event.precision ?? "",
                phase: event.phase ?? ""
            )
        case .metric:
            entry.type = .metric
            entry.progress = event.step.map { JobProgress(step: UInt64(clamping: $0)) }
            entry.metricsJSON = Array((event.json ?? "{}").utf8)
        case .log, .checkpoint, .result, .error:
            entry.type = .log
            entry.message = String((event.message ?? "").prefix(2000))
        }
        state.withLock { state in
            if let phase = event.phase {
                state.phase = phase
            }
            let waiting = state.events[state.inFlightCount...]
            if let last = waiting.last, Self.isSuperseded(last, by: entry) {
                state.events.removeLast()
            } else if state.events.count >= Self.eventLimit, let oldest = waiting.indices.first {
                // Lines of the log matter more: the oldest progress or metric is given up.
                state.events.remove(at: waiting.firstIndex { $0.type != .log } ?? oldest)
            }
            state.eventCount += 1
            entry.seq = state.eventCount
            state.events.append(entry)
        }
        due.yield()
    }

    /// Whether a later event of the same phase makes an unsent one worthless.
    ///
    /// Every training step is kept: its loss is a point of the curve.
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
                state.log.removeFirst(state.log.count - Self.logLimit)
            }
        }
    }

    /// Up to 64 events in order, left in place until ``confirm(eventCount:)``.
    func pendingEvents() -> [JobEvent] {
        state.withLock { state in
            state.inFlightCount = min(64, state.events.count)
            return Array(state.events.prefix(state.inFlightCount))
        }
    }

    func confirm(eventCount: Int) {
        let isMore = state.withLock { state in
            state.events.removeFirst(min(eventCount, state.events.count))
            state.inFlightCount = 0
            return !state.events.isEmpty
        }
        if isMore {
            due.yield()
        }
    }

    /// The next log bytes and where they go, or nil.
    func pendingLog() -> (offset: UInt64, bytes: [UInt8])? {
        state.withLock { state in
            state.log.isEmpty ? nil : (state.logOffset, Array(state.log.prefix(32 << 10)))
        }
    }

    func confirmLog(byteCount: Int, nextOffset: UInt64) {
        state.withLock { state in
            state.log.removeFirst(min(byteCount, state.log.count))
            state.logOffset = nextOffset
        }
    }

    /// Where the gateway says the log ends, when that is not where this attempt thought.
    func moveLog(to offset: UInt64) {
        state.withLock { $0.logOffset = offset }
    }

    func finish() {
        due.finish()
    }
}
