internal import ComputeKit
internal import Foundation
internal import Quantization

/// What a user should look at in layers while they are trained, each once, with what to do.
enum LayerWarnings {
    /// A rule over what steps do to a layer.
    private enum Rule: String {
        /// A step changes more of the weight than training does.
        case largeUpdate
        /// More codes flip than a rate that fits would make.
        case flips
        /// Nothing is learned.
        case noGradient
    }

    /// Changes of a step, relative to the weight, from which on it is warned.
    static let largeUpdate = 0.05
    /// Shares of the codes that flip per step, from which on it is warned.
    static let flipRate = 0.02

    /// Warnings of these layers that were not said before; `format` names the one of several.
    ///
    /// `said`: What was, by layer, format and rule; it is added to. `reachesAll`: Whether the step learned something
    /// beyond the first position of its windows, which sees itself alone, so that no query and no key moves it; of one
    /// that did not, that no gradient came says nothing of the layers.
    static func new(
        _ layers: [LayerMonitor.Layer],
        format: String?,
        reachesAll: Bool = true,
        said: inout Set<String>
    ) -> [String] {
        layers.flatMap { layer in
            (warnings(layer.report.statistics) + warnings(layer.course, reachesAll))
                .filter {
                    said.insert("\(format ?? "") \(layer.report.module) \($0.rule)").inserted
                }
                .map { "\(layer.report.module)\(format.map { " in \($0)" } ?? ""): \($0.text)" }
        }
    }

    private static func warnings(
        _ statistics: QuantizationStatistics
    ) -> [(rule: String, text: String)] {
        statistics.findings.map { ($0.rule.rawValue, "\($0.text); \($0.rule.remedy)") }
    }

    private static func warnings(
        _ course: LayerCourse,
        _ reachesAll: Bool
    ) -> [(rule: String, text: String)] {
        var found: [(Rule, String)] = []
        if let ratio = course.updateRatio, ratio > largeUpdate {
            found.append(
                (.largeUpdate, "a step changed the weight by \(percent(ratio)) %; lower optim.lr")
            )
        }
        if let share = course.flippedShare, let steps = course.flippedSteps,
            share / Double(max(steps, 1)) > flipRate
        {
            found.append(
                (
                    .flips,
                    "\(percent(share)) % of the codes flipped in \(steps) steps; lower optim.lr, or "
                        + "damp them (quantization.oscillation)"
                )
            )
        }
        if reachesAll, course.gradientNorm == 0 {
            found.append(
                (
                    .noGradient,
                    "no gradient reaches the weight, so that it is not trained; look for a loss of 0, or "
                        + "freeze it"
                )
            )
        }
        return found.map { ($0.0.rawValue, $0.1) }
    }

    private static func percent(_ share: Double) -> String { String(format: "%.3g", 100 * share) }
}
