internal import ComputeKit
internal import Foundation
internal import Jobs
internal import ServiceKit
internal import Transformer

/// What a training's speed is compared with: what the products of its model reach on this machine alone.
struct ComparedSpeed {
    let work: TrainingWork
    /// Floating-point operations a second.
    let productRate: Double

    /// The share of it that so many tokens a second are.
    func share(of tokensPerSecond: Double) -> Double {
        work.operationsPerToken * tokensPerSecond / productRate
    }
}

/// Keeps what is measured while a job trains, and tells it as it comes.
///
/// One serves a whole attempt, however often the run goes back in it: what was said once stays said.
final class RunRecorder {
    private let reporter: ComputeReporter
    private(set) var history = RunHistory()
    /// What the speed of steps is compared with; nil until that is known.
    var speed: ComparedSpeed?
    /// Of the steps that are recorded.
    var windowsPerStep = 1
    private var hasToldOfLayers = false

    init(_ reporter: ComputeReporter) {
        self.reporter = reporter
    }

    /// Begins a course of the run: what an earlier one measured comes again, what it said does not.
    func begin() {
        let warned = history.warned
        history = RunHistory()
        history.warned = warned
    }

    /// Goes on with what a checkpoint holds.
    func restore(_ kept: [UInt8]) {
        do {
            var found = try RunHistory(jsonLines: Data(kept))
            found.warned.formUnion(history.warned)
            history = found
        } catch {
            reporter.log(
                "the run's records up to the checkpoint cannot be read, new ones begin here: \(error)"
            )
        }
    }

    /// Tells what a logged step measured; `progress` is what was told of it.
    ///
    /// `format`: The one that the step took, of a training for several.
    func step(
        _ result: StepResult,
        _ layers: [LayerMonitor.Layer],
        at progress: ComputeEvent,
        in format: String?
    ) throws {
        let step = StepMeasurement(
            result: result,
            layers: layers,
            progress: progress,
            format: format,
            utilization: progress.tokensPerSecond.flatMap { speed?.share(of: $0) },
            peakMemoryByteCount: PeakMemory.byteCount()
        )
        let row = step.row(time: now)
        try tell(RowMessage(row: row, worstLayer: step.worst?.report.module))
        history.append(row)
        let sentences = LayerWarnings.new(
            layers,
            format: format,
            reachesAll: result.targetCount > windowsPerStep,
            said: &history.warned
        )
        for sentence in sentences { reporter.log("step \(row.step): \(sentence)") }
        if !result.hasLoss { tellOfStepWithoutLoss(row.step) }
    }

    /// Says once why a step has no loss.
    private func tellOfStepWithoutLoss(_ step: Int) {
        guard history.warned.insert(Self.withoutLoss).inserted else { return }
        reporter.log(
            "step \(step): its windows hold nothing that is learned, as of a conversation none of an answer: it has "
                + "no loss, and the guard leaves it out; a longer seq_length, a larger micro_batch_size or "
                + "accumulate_grad_batches makes such steps rarer"
        )
    }

    private static let withoutLoss = "step without loss"

    /// Tells what fits a message.
    private func tell(_ message: RowMessage) throws {
        var message = message
        if try ResultJSON.data(message).count > JobLimits().metricBytes {
            message.hasLayers = false
            if !hasToldOfLayers {
                hasToldOfLayers = true
                reporter.log(
                    "metrics: the figures of \(message.row.layers?.count ?? 0) layers do not fit a message; run/layers.csv has them"
                )
            }
        }
        try reporter.metric(step: message.row.step, message)
    }

    /// Tells what a validation between steps measured.
    ///
    /// `format`: What the model was rounded to, of a training for several.
    func validation(step: Int, perplexity: Double, in format: String?) throws {
        try tell(step: step, [.validationPerplexity: perplexity], in: format)
    }

    /// Tells that the run goes on from a step, after it diverged later.
    func keep(_ rollBack: RollBack, step: Int) throws {
        try tell(
            step: step,
            [
                .rolledBackFrom: Double(rollBack.divergence.step),
                .learningRateFactor: RollBack.rateFactor,
            ],
            in: nil
        )
    }

    private func tell(step: Int, _ values: [RunFigure: Double], in format: String?) throws {
        let row = RunHistory.Row(step: step, time: now, format: format, values: values)
        try tell(RowMessage(row: row))
        history.append(row)
    }

    /// Keeps what the results say, too, untold.
    ///
    /// `format`: That of the model, of a training for several.
    func keep(step: Int, _ values: [RunFigure: Double], in format: String?) {
        history.append(.init(step: step, time: now, format: format, values: values))
    }

    private var now: Double { Date().timeIntervalSince1970 }
}
