internal import Protocol
internal import Synchronization

/// What a gateway measures while it is at work, for `/metrics`; since it was started.
final class EngineFigures: Sendable {
    /// What a job's worker reported last.
    struct Report: Sendable {
        /// Nil before the first.
        var progress: JobProgress?
        /// The last metrics, as JSON.
        var metrics: [UInt8] = []
    }

    private struct State {
        var calls: [String: DurationHistogram] = [:]
        var waits = DurationHistogram()
        var reports: [String: Report] = [:]
    }

    private let state = Mutex(State())

    /// Notes how long a call took.
    func called(_ method: String, seconds: Double) {
        state.withLock { $0.calls[method, default: DurationHistogram()].add(seconds) }
    }

    /// Notes how long a job waited from its submission to its first start.
    func waited(seconds: Double) {
        state.withLock { $0.waits.add(seconds) }
    }

    /// Notes what a job's worker reports.
    func heard(_ events: [JobEvent], of job: String) {
        guard !events.isEmpty else { return }
        state.withLock { state in
            var report = state.reports[job] ?? Report()
            for event in events {
                if let progress = event.progress { report.progress = progress }
                if !event.metricsJSON.isEmpty { report.metrics = event.metricsJSON }
            }
            state.reports[job] = report
        }
    }

    /// How long calls took, by method.
    var calls: [String: DurationHistogram] { state.withLock { $0.calls } }

    /// How long jobs waited from their submission to their first start.
    var waits: DurationHistogram { state.withLock { $0.waits } }

    /// What is known of some jobs; all others are forgotten.
    func reports(of jobs: Set<String>) -> [String: Report] {
        state.withLock { state in
            state.reports = state.reports.filter { jobs.contains($0.key) }
            return state.reports
        }
    }
}
