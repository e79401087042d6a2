internal import ServiceKit

/// What a task has to do with one model.
struct TaskEffort: Sendable, Equatable {
    /// Windows, runs or questions.
    let count: Int
    /// Tokens that go through the model in each.
    let tokenCount: Int
}

/// How far an evaluation is over all its models and tasks, and how long it will take.
///
/// A step is a window of a text, a run of a benchmark or a question. What is left is told by the time that tokens
/// have taken so far, those of a larger model in proportion to its parameters.
final class EvaluationProgress {
    private let reporter: ComputeReporter
    private let totalSteps: Int
    private let totalWork: Double
    private let start = ContinuousClock.now
    private var step = 0
    private var work = 0.0
    private let interval: Duration
    private var told = ContinuousClock.now

    /// Nothing is done yet.
    ///
    /// `efforts`: All there is to do, with the parameters of the model that it is done with.
    /// `interval`: Time between reports within a step.
    init(
        _ reporter: ComputeReporter,
        _ efforts: [(TaskEffort, parameterCount: Int)],
        interval: Duration
    ) {
        self.reporter = reporter
        self.interval = interval
        totalSteps = efforts.reduce(0) { $0 + $1.0.count }
        totalWork = efforts.reduce(0) { total, effort in
            total + Double(effort.0.count) * Self.work(effort.0.tokenCount, effort.parameterCount)
        }
    }

    private static func work(_ tokenCount: Int, _ parameterCount: Int) -> Double {
        Double(tokenCount) * Double(parameterCount)
    }

    /// Says what is being done now; `partial`: The work of a step that is not over.
    func report(_ phase: String, partial: Double = 0) {
        told = .now
        let work = work + partial
        var event = ComputeEvent(.progress)
        event.phase = phase
        event.step = step
        event.totalSteps = totalSteps
        if work > 0, work < totalWork {
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            event.etaSeconds = seconds / work * (totalWork - work)
        }
        reporter.send(event)
    }

    /// Says something in the job's log.
    func log(_ message: String) { reporter.log(message) }

    /// Says, at times, how far a step is; throws if the job is to stop.
    ///
    /// `phase`: Made where it is told: this may be called for every token of a timed run.
    func advance(_ phase: () -> String, tokenCount: Int, parameterCount: Int) throws {
        try reporter.checkStop()
        guard ContinuousClock.now - told >= interval else { return }
        report(phase(), partial: Self.work(tokenCount, parameterCount))
    }

    /// Says that a step is done; throws if the job is to stop.
    func finishStep(_ phase: String, tokenCount: Int, parameterCount: Int) throws {
        step += 1
        work += Self.work(tokenCount, parameterCount)
        report(phase)
        try reporter.checkStop()
    }
}
