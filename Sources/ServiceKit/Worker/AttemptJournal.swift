internal import Foundation
internal import Protocol
internal import Synchronization

/// What one attempt has to tell the gateway: events and log bytes that wait for the next heartbeat.
///
/// While the gateway is away they gather here up to a limit; state is guarded by the mutex. Confirmations
/// name what was taken, by number and offset: two heartbeats that carry the same events (the periodic one
/// and the last one of an attempt) must not remove others in their place.
final class AttemptJournal: Sendable {
    private struct State {
        var events: [JobEvent] = []
        /// Events so far; each carries its number, so that the gateway takes it once.
        var eventCount: UInt64 = 0
        var log: [UInt8] = []
        var logOffset: UInt64 = 0
        var phase = "prepare"
    }

    /// Log bytes kept while the gateway is away; the oldest go first.
    private static let logLimit = 4 << 20
    /// Events that one heartbeat carries.
    private static let batchSize = 64
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

    /// Adds a line of the worker's own to the job's events and log.
    func note(_ line: String) {
        var event = ComputeEvent(.log)
        event.message = line
        append(event)
        appendLog(line)
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
            if let last = state.events.last, Self.isSuperseded(last, by: entry) {
                state.events.removeLast()
            } else if state.events.count >= Self.eventLimit {
                // Lines of the log matter more: the oldest progress or metric is given up.
                state.events.remove(at: state.events.firstIndex { $0.type != .log } ?? 0)
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

    /// Whether more waits than one heartbeat carries: small models take hundreds of steps a second.
    var isBehind: Bool { state.withLock { $0.events.count > Self.batchSize } }

    /// Up to 64 events in order, left in place until ``confirm(through:)``.
    func pendingEvents() -> [JobEvent] {
        state.withLock { Array($0.events.prefix(Self.batchSize)) }
    }

    /// Forgets the events up to and with this number: the gateway has them.
    func confirm(through number: UInt64) {
        let isMore = state.withLock { state in
            state.events.removeAll { $0.seq <= number }
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

    /// Goes on with the log where the gateway says it ends, after a piece of it was sent.
    ///
    /// When that is not behind the piece, an earlier attempt wrote to the same log: the piece is sent
    /// again. A piece whose answer came already is left alone.
    func settleLog(sentAt offset: UInt64, byteCount: Int, nextOffset: UInt64) {
        state.withLock { state in
            guard state.logOffset == offset else { return }
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
