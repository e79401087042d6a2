internal import ComputeKit
internal import Quantization
internal import ServiceKit
internal import Transformer

/// A figure of a run, as records have it; raw values are its names in streams, files and TensorBoard.
///
/// This is the one table of them: what is measured of a step (``value(of:)``), which figures a stream tells, which
/// TensorBoard shows by format, and under which heading.
enum RunFigure: String, CaseIterable {
    case loss, divergence
    case crossEntropy = "cross_entropy"
    case hiddenError = "hidden_error"
    case gradientNorm = "gradient_norm"

    case meanAbsoluteErrorMax = "mean_absolute_error_max"
    case sqnrDecibelsMin = "sqnr_db_min"
    case updateRatioMax = "update_ratio_max"
    case flippedShareMean = "flipped_share_mean"

    case learningRate = "learning_rate"
    case tokensPerSecond = "tokens_per_second"
    case modelFLOPsUtilization = "model_flops_utilization"
    case peakMemoryBytes = "peak_memory_bytes"

    case rolledBackFrom = "rolled_back_from"
    case learningRateFactor = "learning_rate_factor"

    case baselinePerplexity = "baseline_perplexity"
    case ptqPerplexity = "ptq_perplexity"
    case startPerplexity = "start_perplexity"
    case validationPerplexity = "validation_perplexity"
    case qatPerplexity = "qat_perplexity"

    /// What a figure is of.
    enum Kind {
        /// A step in its format, and the layers as they are rounded then.
        case step
        /// The run at a step, whichever format that takes; streams have it as the step's progress.
        case pace
        /// A run that went back.
        case rollBack
        /// A validation, which is of a format but for that of the model as it came.
        case validation
    }

    /// What it is of.
    var kind: Kind {
        switch self {
        case .loss, .divergence, .crossEntropy, .hiddenError, .gradientNorm, .meanAbsoluteErrorMax,
            .sqnrDecibelsMin, .updateRatioMax, .flippedShareMean:
            .step
        case .learningRate, .tokensPerSecond, .modelFLOPsUtilization, .peakMemoryBytes: .pace
        case .rolledBackFrom, .learningRateFactor: .rollBack
        case .baselinePerplexity, .ptqPerplexity, .startPerplexity, .validationPerplexity,
            .qatPerplexity:
            .validation
        }
    }

    /// Whether a training for several formats has one for each.
    var isByFormat: Bool {
        switch kind {
        case .step, .validation: self != .baselinePerplexity
        case .pace, .rollBack: false
        }
    }

    /// Its name in TensorBoard: figures of one kind lie under one heading.
    ///
    /// `format`: That of the row, of a training for several.
    func tag(in format: String?) -> String {
        let heading = kind == .validation ? "validation" : "train"
        let suffix = isByFormat ? format.map { ".\($0)" } ?? "" : ""
        return "\(heading)/\(rawValue)\(suffix)"
    }

    /// What was measured of a logged step; nil of what was not.
    func value(of step: StepMeasurement) -> Double? {
        switch self {
        // Of a step that learned nothing a 0 would be read for a loss.
        case .loss: step.result.hasLoss ? step.result.loss : nil
        case .divergence: step.result.hasLoss ? step.result.divergence : nil
        case .crossEntropy: step.result.hasLoss ? step.result.crossEntropy : nil
        case .hiddenError: step.result.hasLoss ? step.result.hiddenError : nil
        case .gradientNorm: step.result.gradientNorm
        case .meanAbsoluteErrorMax:
            step.layers.map(\.report.statistics.meanAbsoluteError).max()
        case .sqnrDecibelsMin: step.worst?.report.statistics.sqnrDecibels
        case .updateRatioMax: step.layers.compactMap(\.course.updateRatio).max()
        case .flippedShareMean: step.meanFlippedShare
        case .learningRate: step.progress.learningRate
        case .tokensPerSecond: step.progress.tokensPerSecond
        case .modelFLOPsUtilization: step.utilization
        case .peakMemoryBytes: step.peakMemoryByteCount.map(Double.init)
        case .rolledBackFrom, .learningRateFactor, .baselinePerplexity, .ptqPerplexity,
            .startPerplexity, .validationPerplexity, .qatPerplexity:
            nil
        }
    }
}
