internal import Foundation

/// The layer whose weights a divergence showed in first.
///
/// What is compared are figures of weights at logged steps, and where the run diverged, with those of the last
/// step before losses began to be suspicious. Of steps that round weights otherwise (to another of several formats, in
/// another stage) only what is of the weights themselves is compared: errors of two formats differ by whole factors.
enum DivergencePlace {
    /// Growth of a figure that is a jump, not training.
    static let jump = 1.5

    /// Figures that are of weights, however they are rounded.
    private static let ofWeights: [LayerFigure] = [.std, .amax]
    private static let ofRounding: [LayerFigure] = [.meanAbsoluteError]

    /// What a layer's figure became.
    private struct Growth {
        let module: String
        let step: Int
        let figure: LayerFigure
        let before: Double
        /// Nil of what is not finite any more.
        let after: Double?

        var factor: Double { after.map { $0 / before } ?? .infinity }

        var sentence: String {
            let name = figure.name.replacingOccurrences(of: "_", with: " ")
            let numbers = String(
                format: "%.4g, by step %d %.4g",
                before,
                step,
                after ?? .infinity
            )
            return "\(module) (\(name) of its weights: \(numbers))"
        }
    }

    /// Names the layer, as the end of a sentence; nil if nothing was measured before.
    ///
    /// `began`: The first suspicious step. `last`: What was measured where the run diverged.
    static func sentence(
        _ rows: [RunHistory.Row],
        began: Int,
        last: RunHistory.Row
    ) -> String? {
        let measured = rows.filter { $0.layers != nil }
        let before = measured.filter { $0.step < began }
        guard !before.isEmpty else { return nil }
        let later = measured.filter { $0.step >= began && $0.step < last.step } + [last]
        for row in later {
            if let growth = largest(since: before, to: row), growth.factor > jump {
                return "it shows first in \(growth.sentence)"
            }
        }
        return largest(since: before, to: last).map {
            "no layer's weights jumped; most changed \($0.sentence)"
        }
    }

    private static func largest(
        since before: [RunHistory.Row],
        to row: RunHistory.Row
    ) -> Growth? {
        let alike = before.last { $0.format == row.format && $0.stage == row.stage }
        return
            (growths(ofWeights, from: before.last, to: row)
            + growths(ofRounding, from: alike, to: row)).max { $0.factor < $1.factor }
    }

    private static func growths(
        _ figures: [LayerFigure],
        from reference: RunHistory.Row?,
        to row: RunHistory.Row
    ) -> [Growth] {
        (row.layers ?? [:]).sorted { $0.key < $1.key }.flatMap { module, layer in
            figures.compactMap { figure -> Growth? in
                guard let before = reference?.layers?[module]?[figure], before > 0 else {
                    return nil
                }
                return Growth(
                    module: module,
                    step: row.step,
                    figure: figure,
                    before: before,
                    after: layer[figure]
                )
            }
        }
    }
}
