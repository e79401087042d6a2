internal import ComputeKit
internal import Foundation
internal import Quantization
internal import Transformer

/// What a validation between steps finds.
struct ValidationMetrics: Encodable {
    /// The format that the model is rounded to, of a training for several.
    let format: String?
    let validationPerplexity: Double
}

/// That a run went back.
struct RollBackMetrics: Encodable {
    /// The step that it diverged at.
    let rolledBackFrom: Int
    /// What learning rates are multiplied by from then on.
    let learningRateFactor: Double
}

/// What is measured every few steps.
struct TrainingMetrics: Encodable {
    /// The format that layers are rounded to, of a training for several.
    let format: String?
    /// Of the latest step; nil of formats that it did not take.
    let loss: Double?
    /// Parts of the loss, where it has several.
    let divergence: Double?
    let crossEntropy: Double?
    let hiddenError: Double?
    let gradientNorm: Double?
    let meanAbsoluteErrorMax: Double
    let sqnrDbMin: Double
    let worstLayer: String
    let updateRatioMax: Double?
    let flippedShareMean: Double?
    /// By module; nil where they do not fit a message.
    var layers: [String: LayerFigures]?

    init(_ result: StepResult?, layers: [LayerMonitor.Layer], format: String?) {
        self.format = format
        loss = result?.loss
        divergence = result?.divergence
        crossEntropy = result?.crossEntropy
        hiddenError = result?.hiddenError
        gradientNorm = result?.gradientNorm
        let worst = layers.min {
            $0.report.statistics.sqnrDecibels < $1.report.statistics.sqnrDecibels
        }
        meanAbsoluteErrorMax = layers.map(\.report.statistics.meanAbsoluteError).max() ?? 0
        sqnrDbMin = worst?.report.statistics.sqnrDecibels ?? .infinity
        worstLayer = worst?.report.module ?? ""
        updateRatioMax = layers.compactMap(\.course.updateRatio).max()
        let flipped = layers.compactMap(\.course.flippedShare)
        flippedShareMean = flipped.isEmpty ? nil : flipped.reduce(0, +) / Double(flipped.count)
        self.layers = Dictionary(
            uniqueKeysWithValues: layers.map { ($0.report.module, LayerFigures($0)) }
        )
    }

    /// The figures of the whole step by the names that streams, files and TensorBoard show.
    var values: [String: Double] {
        let all: [String: Double?] = [
            "loss": loss, "divergence": divergence, "cross_entropy": crossEntropy,
            "hidden_error": hiddenError, "gradient_norm": gradientNorm,
            "mean_absolute_error_max": meanAbsoluteErrorMax, "sqnr_db_min": sqnrDbMin,
            "update_ratio_max": updateRatioMax, "flipped_share_mean": flippedShareMean,
        ]
        return all.compactMapValues(\.self)
    }
}
