internal import ComputeKit
internal import Foundation
internal import Quantization

/// One layer's figures at a step, short enough that those of hundreds of layers go into one message.
struct LayerFigures: Codable, Equatable {
    let mean: Double
    let std: Double
    let min: Double
    let max: Double
    /// The largest magnitude.
    let amax: Double
    let meanAbsoluteError: Double
    /// Signal to quantization noise; nil without error.
    let sqnrDecibels: Double?
    /// Share of the weights beyond what their scale can hold; nil if not counted.
    let saturatedShare: Double?
    /// L2 norm of the step's gradient before clipping; nil of what is not trained.
    let gradientNorm: Double?
    /// What the step changed, relative to the weight; nil if unknown.
    let updateRatio: Double?
    /// Share of the codes that are others than at the last report; nil if there is none.
    let flippedShare: Double?

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case mean, std, min, max, amax
        case meanAbsoluteError = "mean_absolute_error"
        case sqnrDecibels = "sqnr_db"
        case saturatedShare = "saturated_share"
        case gradientNorm = "gradient_norm"
        case updateRatio = "update_ratio"
        case flippedShare = "flipped_share"
    }

    init(_ layer: LayerMonitor.Layer) {
        let statistics = layer.report.statistics
        mean = Self.rounded(statistics.mean)
        std = Self.rounded(statistics.standardDeviation)
        min = Self.rounded(Double(statistics.minimum))
        max = Self.rounded(Double(statistics.maximum))
        amax = Self.rounded(Double(statistics.amax))
        meanAbsoluteError = Self.rounded(statistics.meanAbsoluteError)
        sqnrDecibels = Self.finite(statistics.sqnrDecibels)
        saturatedShare = statistics.saturatedShare.flatMap(Self.finite)
        gradientNorm = layer.course.gradientNorm.flatMap(Self.finite)
        updateRatio = layer.course.updateRatio.flatMap(Self.finite)
        flippedShare = layer.course.flippedShare.flatMap(Self.finite)
    }

    /// The names of the figures, in ``values``' order.
    static let names = CodingKeys.allCases.map(\.rawValue)

    /// All figures; nil of what was not measured.
    var values: [Double?] {
        [
            mean, std, min, max, amax, meanAbsoluteError, sqnrDecibels, saturatedShare,
            gradientNorm,
            updateRatio, flippedShare,
        ]
    }

    private static func finite(_ value: Double) -> Double? {
        value.isFinite ? rounded(value) : nil
    }

    /// To six digits.
    private static func rounded(_ value: Double) -> Double {
        Double(String(format: "%.6g", value)) ?? value
    }
}
