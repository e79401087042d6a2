internal import Protocol

/// How often each phase of a job is told of.
struct ProgressPace {
    /// The least time between two windows of a phase that are told, and between two steps of a training.
    static let ofPhases = Duration.seconds(1)
    static let ofSteps = Duration.milliseconds(250)

    private let isOn: Bool
    /// When each phase was last told of.
    private var told: [String: ContinuousClock.Instant] = [:]
    private var waiting: ComputeEvent?

    /// A pace; of one that is not on, nothing waits.
    init(isOn: Bool = true) {
        self.isOn = isOn
    }

    /// How long an event has to wait, in the place of one that waits already; nil of one that is told now.
    mutating func wait(of event: ComputeEvent, at now: ContinuousClock.Instant) -> Duration? {
        let phase = Self.phase(event)
        let interval = phase == JobProgress.trainingPhase ? Self.ofSteps : Self.ofPhases
        if isOn, let last = told[phase], now - last < interval {
            waiting = event
            return interval - (now - last)
        }
        // What waits is older.
        waiting = nil
        told[phase] = now
        return nil
    }

    /// What waits, to be told now.
    mutating func take(at now: ContinuousClock.Instant = .now) -> ComputeEvent? {
        guard let event = waiting else { return nil }
        waiting = nil
        told[Self.phase(event)] = now
        return event
    }

    /// The phase without how far it is: `validating` of `validating 3/16`.
    private static func phase(_ event: ComputeEvent) -> String {
        JobProgress.parts(ofPhase: event.phase ?? "").name
    }
}
