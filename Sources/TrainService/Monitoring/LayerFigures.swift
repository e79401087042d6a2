internal import ComputeKit
internal import Foundation
internal import Quantization

/// A figure of one layer's weight at a step.
///
/// This is the one table of them: messages, files, tables and TensorBoard have the figures that stand here, by these
/// names and in this order.
enum LayerFigure: Int, CaseIterable {
    case mean, std, min, max, amax, meanAbsoluteError, sqnrDecibels, saturatedShare
    case gradientNorm, updateRatio, flippedShare

    /// How TensorBoard shows it.
    enum Display {
        /// As its distribution over the layers.
        case histogram
        /// Not at all: of means and ends that of the layers says nothing.
        case hidden
    }

    private typealias Entry = (
        name: String, display: Display, value: (LayerMonitor.Layer) -> Double?
    )

    private var entry: Entry {
        switch self {
        case .mean: ("mean", .hidden, { $0.report.statistics.mean })
        case .std: ("std", .histogram, { $0.report.statistics.standardDeviation })
        case .min: ("min", .hidden, { Double($0.report.statistics.minimum) })
        case .max: ("max", .hidden, { Double($0.report.statistics.maximum) })
        // The largest magnitude.
        case .amax: ("amax", .histogram, { Double($0.report.statistics.amax) })
        case .meanAbsoluteError:
            ("mean_absolute_error", .histogram, { $0.report.statistics.meanAbsoluteError })
        // Signal to quantization noise, which is infinite without error.
        case .sqnrDecibels: ("sqnr_db", .histogram, { $0.report.statistics.sqnrDecibels })
        // Share of the weights beyond what their scale can hold.
        case .saturatedShare:
            ("saturated_share", .histogram, { $0.report.statistics.saturatedShare })
        // Of the step, before clipping; none of what is not trained.
        case .gradientNorm: ("gradient_norm", .histogram, { $0.course.gradientNorm })
        // What the step changed, relative to the weight.
        case .updateRatio: ("update_ratio", .histogram, { $0.course.updateRatio })
        // Share of the codes that are others than at the last report.
        case .flippedShare: ("flipped_share", .histogram, { $0.course.flippedShare })
        }
    }

    /// Its name in messages and files.
    var name: String { entry.name }

    /// How TensorBoard shows it.
    var display: Display { entry.display }

    /// What was measured of it; nil if nothing was.
    func value(of layer: LayerMonitor.Layer) -> Double? { entry.value(layer) }
}

/// One layer's figures at a step, short enough that those of hundreds of layers go into one message.
struct LayerFigures: Equatable {
    /// By ``LayerFigure``'s order; nil of what was not measured, or is not finite.
    private var values: [Double?]

    /// What was measured of a layer, to six digits.
    init(_ layer: LayerMonitor.Layer) {
        self.init { $0.value(of: layer).map(Self.rounded) }
    }

    /// The figures that `value` gives.
    init(_ value: (LayerFigure) throws -> Double?) rethrows {
        values = try LayerFigure.allCases.map { figure in
            try value(figure).flatMap { $0.isFinite ? $0 : nil }
        }
    }

    /// A figure; nil if it was not measured, or is not finite.
    subscript(figure: LayerFigure) -> Double? { values[figure.rawValue] }

    private static func rounded(_ value: Double) -> Double {
        Double(String(format: "%.6g", value)) ?? value
    }
}

extension LayerFigures: Codable {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(_ figure: LayerFigure) { stringValue = figure.name }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        for figure in LayerFigure.allCases {
            try container.encodeIfPresent(self[figure], forKey: Key(figure))
        }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        try self.init { try container.decodeIfPresent(Double.self, forKey: Key($0)) }
    }
}
