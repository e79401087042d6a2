internal import ComputeKit
internal import Foundation
internal import Jobs
internal import ServiceKit

/// Keeps what is measured while a job trains, and tells it as it comes.
final class RunRecorder {
    private let reporter: ComputeReporter
    private(set) var history = RunHistory()
    private var hasToldOfLayers = false

    init(_ reporter: ComputeReporter) {
        self.reporter = reporter
    }

    /// Goes on with what a checkpoint holds.
    func restore(_ kept: [UInt8]) {
        do {
            history = try RunHistory(jsonLines: Data(kept))
        } catch {
            reporter.log(
                "the run's records up to the checkpoint cannot be read, new ones begin here: \(error)"
            )
        }
    }

    /// Tells what a logged step measured; `progress` is what was told of it.
    func step(_ metrics: TrainingMetrics, at progress: ComputeEvent) throws {
        let step = progress.step ?? 0
        try reporter.metric(step: step, told(metrics))
        var values = metrics.values
        values["learning_rate"] = progress.learningRate
        values["tokens_per_second"] = progress.tokensPerSecond
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
    func validation(step: Int, perplexity: Double) throws {
        let values = ["validation_perplexity": perplexity]
        try reporter.metric(step: step, values)
        history.append(.init(step: step, time: now, values: values))
    }

    /// Keeps validations of models before the first step, or after the last; results tell them.
    func keep(step: Int, perplexities: [String: Double]) {
        let values = perplexities.reduce(into: [:]) { $0["\($1.key)_perplexity"] = $1.value }
        history.append(.init(step: step, time: now, values: values))
    }

    private var now: Double { Date().timeIntervalSince1970 }
}
