internal import JobSpecs
internal import Protocol

/// Which of a job's events get a line where nobody sees a line rewritten: in files and pipes.
///
/// A job tells of each step and window. What it begins is always told, then what is ten seconds or a
/// tenth of the work later, and that all is done. States, log lines and an evaluation's rows are few,
/// and all told.
struct LinePace {
    private static let milliseconds: Int64 = 10_000
    private static let share = 0.1

    /// Where the last line of a kind was.
    private struct Place {
        var timeUnixMs: Int64
        var share: Double
    }

    /// Those told of: a validation between steps begins nothing new.
    private var phases: Set<String> = []
    private var lastProgress: Place?
    /// By what is measured.
    private var metrics: [Set<String>: Place] = [:]
    private var totalSteps: UInt64 = 0

    /// Whether an event gets its line; to be asked once for each, in their order.
    mutating func admits(_ event: JobEvent) -> Bool {
        switch event.type {
        case .log: return true
        case .state:
            // Another attempt begins anew.
            self = LinePace()
            return true
        case .progress: return event.progress.map { admits($0, at: event.timeUnixMs) } ?? true
        case .metric: return admitsMetric(event)
        }
    }

    private mutating func admits(_ progress: JobProgress, at timeUnixMs: Int64) -> Bool {
        totalSteps = progress.totalSteps
        let place = Place(timeUnixMs: timeUnixMs, share: share(of: progress.step))
        let isNew = phases.insert(PhaseText(progress.phase).name).inserted
        guard isNew || isDue(place, after: lastProgress) else { return false }
        lastProgress = place
        return true
    }

    private mutating func admitsMetric(_ event: JobEvent) -> Bool {
        let values = JobAnswer.document(event.metricsJSON)
        guard let members = values.objectValue, members["label"] == nil else { return true }
        let place = Place(
            timeUnixMs: event.timeUnixMs,
            share: share(of: event.progress?.step ?? 0)
        )
        // What comes of several formats at once is not the same.
        let format = values["format"]?.stringValue.map { ["format: \($0)"] } ?? []
        let kind = Set(members.keys).union(format)
        guard isDue(place, after: metrics[kind]) else { return false }
        metrics[kind] = place
        return true
    }

    private func share(of step: UInt64) -> Double {
        totalSteps > 0 ? min(1, Double(step) / Double(totalSteps)) : 0
    }

    private func isDue(_ place: Place, after last: Place?) -> Bool {
        guard let last else { return true }
        // Whichever way a worker's clock was set meanwhile.
        return place.timeUnixMs >= last.timeUnixMs &+ Self.milliseconds
            || place.timeUnixMs <= last.timeUnixMs &- Self.milliseconds
            || place.share >= last.share + Self.share || (place.share >= 1 && last.share < 1)
    }
}
