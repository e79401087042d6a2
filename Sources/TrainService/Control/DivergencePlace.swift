internal import Foundation

/// The layer whose weights a divergence showed in first.
///
/// What is compared are figures of weights at logged steps, and where the run diverged, with those of the last
/// step before losses began to be suspicious.
enum DivergencePlace {
    /// Growth of a figure that is a jump, not training.
    static let jump = 1.5

    /// What a layer's figure became.
    private struct Growth {
        let module: String
        let step: Int
        let figure: String
        let before: Double
        let after: Double
        var factor: Double { after.isFinite ? after / before : .infinity }

        var sentence: String {
            let numbers = String(format: "%.4g, by step %d %.4g", before, step, after)
            return "\(module) (\(figure) of its weights: \(numbers))"
        }
    }

    /// Names the layer, as the end of a sentence; nil if nothing was measured before.
    ///
    /// `began`: The first suspicious step. `last`: Figures where the run diverged, by module.
    static func sentence(
        _ rows: [RunHistory.Row],
        began: Int,
        last: (step: Int, layers: [String: LayerFigures])
    ) -> String? {
        let measured = rows.compactMap { row in row.layers.map { (step: row.step, layers: $0) } }
        guard let reference = measured.last(where: { $0.step < began }) else { return nil }
        let later = measured.filter { $0.step >= began && $0.step < last.step } + [last]
        for row in later {
            if let growth = largest(from: reference.layers, to: row), growth.factor > jump {
                return "it shows first in \(growth.sentence)"
            }
        }
        return largest(from: reference.layers, to: last).map {
            "no layer's weights jumped; most changed \($0.sentence)"
        }
    }

    private static func largest(
        from reference: [String: LayerFigures],
        to row: (step: Int, layers: [String: LayerFigures])
    ) -> Growth? {
        row.layers.sorted { $0.key < $1.key }.flatMap { module, layer -> [Growth] in
            guard let before = reference[module] else { return [] }
            let figures = [
                ("std", before[.std] ?? .nan, layer[.std] ?? .nan),
                ("amax", before[.amax] ?? .nan, layer[.amax] ?? .nan),
                ("mean absolute error", before[.meanAbsoluteError] ?? .nan, layer[.meanAbsoluteError] ?? .nan),
            ]
            return figures.filter { $0.1 > 0 }.map {
                Growth(
                    module: module,
                    step: row.step,
                    figure: $0.0,
                    before: $0.1,
                    after: $0.2
                )
            }
        }.max { $0.factor < $1.factor }
    }
}
