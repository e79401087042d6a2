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
    /// By module; nil where they do not fit a message.
    var layers: [String: Layer]?

    /// One layer's figures, to six digits: hundreds of layers go into one message.
    struct Layer: Codable, Equatable {
        let mean: Double
        let std: Double
        let min: Float
        let max: Float
        /// The largest magnitude.
        let amax: Float
        let meanAbsoluteError: Double
        /// Signal to quantization noise; nil without error.
        let sqnrDecibels: Double?

        private enum CodingKeys: String, CodingKey {
            case mean, std, min, max, amax
            case meanAbsoluteError = "mean_absolute_error"
            case sqnrDecibels = "sqnr_db"
        }

        init(_ statistics: QuantizationStatistics) {
            mean = Self.rounded(statistics.mean)
            std = Self.rounded(statistics.standardDeviation)
            min = statistics.minimum
            max = statistics.maximum
            amax = statistics.amax
            meanAbsoluteError = Self.rounded(statistics.meanAbsoluteError)
            let decibels = statistics.sqnrDecibels
            sqnrDecibels = decibels.isFinite ? Self.rounded(decibels) : nil
        }

        private static func rounded(_ value: Double) -> Double {
            Double(String(format: "%.6g", value)) ?? value
        }
    }

    init(_ result: StepResult?, layers reports: [LayerReport], format: String?) {
        self.format = format
        loss = result?.loss
        divergence = result?.divergence
        crossEntropy = result?.crossEntropy
        hiddenError = result?.hiddenError
        gradientNorm = result?.gradientNorm
        let worst = reports.min { $0.statistics.sqnrDecibels < $1.statistics.sqnrDecibels }
        meanAbsoluteErrorMax = reports.map(\.statistics.meanAbsoluteError).max() ?? 0
        sqnrDbMin = worst?.statistics.sqnrDecibels ?? .infinity
        worstLayer = worst?.module ?? ""
        layers = Dictionary(uniqueKeysWithValues: reports.map { ($0.module, Layer($0.statistics)) })
    }

    /// The figures of the whole step by the names that streams, files and TensorBoard show.
    var values: [String: Double] {
        let all: [String: Double?] = [
            "loss": loss, "divergence": divergence, "cross_entropy": crossEntropy,
            "hidden_error": hiddenError, "gradient_norm": gradientNorm,
            "mean_absolute_error_max": meanAbsoluteErrorMax, "sqnr_db_min": sqnrDbMin,
        ]
        return all.compactMapValues(\.self)
    }
}
