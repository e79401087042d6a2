public import Formats

/// What happens to the optimizer where a run's formats change.
public struct StageChange: Sendable, Codable, Equatable {
    /// What becomes of the moments.
    public enum Moments: Sendable, Codable, CaseIterable {
        /// They stay.
        case keep
        /// Both begin at zero again.
        case reset
    }

    /// What becomes of the moments.
    public var moments: Moments
    /// Steps in which the rate climbs again; nil for the usual (``warmupSteps(of:)``).
    public var warmupSteps: Int?

    /// A change; the default is what measured best.
    public init(moments: Moments = .reset, warmupSteps: Int? = nil) {
        self.moments = moments
        self.warmupSteps = warmupSteps
    }

    /// Steps in which the rate climbs in a stage of `count` steps.
    public func warmupSteps(of count: Int) -> Int {
        warmupSteps ?? min(max(count / 10, 1), 10)
    }

    /// The steps before which a run of `totalSteps` changes its formats, ascending, 0 not among them.
    public static func steps(of recipe: QuantizationRecipe, totalSteps: Int) -> [Int] {
        var found: [Int] = []
        for boundary in recipe.boundaries {
            // The same division as decides about a step's format: no rounding between the two.
            func isBehind(_ step: Int) -> Bool { Double(step) / Double(totalSteps) >= boundary }
            var step = Int(boundary * Double(totalSteps))
            while step > 0, isBehind(step - 1) { step -= 1 }
            while step < totalSteps, !isBehind(step) { step += 1 }
            if step > 0, step < totalSteps, step != found.last { found.append(step) }
        }
        return found
    }
}
