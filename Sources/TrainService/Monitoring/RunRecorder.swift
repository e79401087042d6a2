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
final class RunRecorder {
    private let reporter: ComputeReporter
    private(set) var history = RunHistory()
    /// What the speed of steps is compared with; nil until that is known.
    var speed: ComparedSpeed?
    private var hasToldOfLayers = false

    init(_ reporter: ComputeReporter) {
        self.reporter = reporter
    }

    /// Goes on with what a checkpoint holds.
    func restore(_ kept: [UInt8]) {
        // What this attempt said already, before it went back, stays said.
        let warned = history.warned
        defer { history.warned.formUnion(warned) }
        do {
            history = try RunHistory(jsonLines: Data(kept))
        } catch {
            reporter.log(
                "the run's records up to the checkpoint cannot be read, new ones begin here: \(error)"
            )
        }
    }

    /// Tells what a logged step measured; `progress` is what was told of it.
    ///
    /// `isTaken`: Whether the step took the format that this is of; of a training for several, the other
    /// formats' figures are told and not kept.
    func step(_ metrics: TrainingMetrics, at progress: ComputeEvent, isTaken: Bool) throws {
        let step = progress.step ?? 0
        try reporter.metric(step: step, told(metrics))
        guard isTaken else { return }
        var values = metrics.values
        values["learning_rate"] = progress.learningRate
        values["tokens_per_second"] = progress.tokensPerSecond
        values["model_flops_utilization"] = progress.tokensPerSecond.flatMap {
            speed?.share(of: $0)
        }
        values["peak_memory_bytes"] = PeakMemory.byteCount().map(Double.init)
        history.append(
            .init(
                step: step,
                time: now,
                stage: progress.precision ?? "",
                values: values,
                layers: metrics.layers
            )
        )
    }

    /// Warnings of layers that neither this attempt nor an earlier one has said.
    func newWarnings(of layers: [LayerMonitor.Layer], format: String?) -> [String] {
        LayerWarnings.new(layers, format: format, said: &history.warned)
    }

    /// What of the metrics goes into one message.
    private func told(_ metrics: TrainingMetrics) throws -> TrainingMetrics {
        var told = metrics
        guard try ResultJSON.data(metrics).count > JobLimits().metricBytes else { return told }
        told.layers = nil
        if !hasToldOfLayers {
            hasToldOfLayers = true
            reporter.log(
                "metrics: the figures of \(metrics.layers?.count ?? 0) layers do not fit a message; run/layers.csv has them"
            )
        }
        return told
    }

    /// Tells what a validation between steps measured.
    func validation(step: Int, _ metrics: ValidationMetrics) throws {
        try reporter.metric(step: step, metrics)
        let key = TrainingResults.Earlier.key("validation", in: metrics.format)
        keep(step: step, [key: metrics.validationPerplexity])
    }

    /// Tells that the run goes on from a step, after it diverged later.
    func keep(_ rollBack: RollBack, step: Int) throws {
        let metrics = RollBackMetrics(
            rolledBackFrom: rollBack.divergence.step,
            learningRateFactor: RollBack.rateFactor
        )
        try reporter.metric(step: step, metrics)
        history.append(
            .init(
                step: step,
                time: now,
                values: [
                    "rolled_back_from": Double(metrics.rolledBackFrom),
                    "learning_rate_factor": metrics.learningRateFactor,
                ]
            )
        )
    }

    /// Keeps perplexities by model and, of a training for several formats, format: `ptq`, `qat.mxfp4`.
    func keep(step: Int, _ perplexities: [String: Double]) {
        let values = perplexities.reduce(into: [String: Double]()) { values, found in
            let parts = found.key.split(separator: ".", maxSplits: 1).map(String.init)
            let format = parts.count > 1 ? parts[1] : nil
            values[TrainingResults.Earlier.key("\(parts[0])_perplexity", in: format)] = found.value
        }
        history.append(.init(step: step, time: now, values: values))
    }

    private var now: Double { Date().timeIntervalSince1970 }
}
