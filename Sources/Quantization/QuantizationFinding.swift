/// Something in a weight's statistics that a user should look at.
public struct QuantizationFinding: Sendable, Equatable {
    /// What is looked for.
    public enum Rule: String, Sendable, CaseIterable {
        /// A mean absolute error above 0.1.
        case error
        /// Weights that are all the same.
        case constant
        /// A standard deviation below 10⁻⁶.
        case flat
        /// More than 1 % of the blocks with non-zero values that round to zero.
        case collapse

        /// What to do.
        public var remedy: String {
            switch self {
            case .error: "keep the layer in a wider format (a rule of quantization.layers)"
            case .constant, .flat:
                "look whether the model was read from the right file, or freeze it"
            case .collapse:
                "take smaller blocks (scaling_granularity) or a wider format for the layer"
            }
        }
    }

    /// What was looked for.
    public let rule: Rule
    /// What was found.
    public let text: String
}

extension QuantizationStatistics {
    /// What a user should look at.
    public var findings: [QuantizationFinding] {
        var found: [QuantizationFinding] = []
        func add(_ rule: QuantizationFinding.Rule, _ text: String) {
            found.append(QuantizationFinding(rule: rule, text: text))
        }
        if meanAbsoluteError > 0.1 {
            add(.error, "mean absolute quantization error \(meanAbsoluteError) exceeds 0.1")
        }
        if amax == 0 {
            add(.constant, "all weights are zero")
        } else if standardDeviation == 0 {
            add(.constant, "all weights are \(maximum)")
        } else if standardDeviation < 1e-6 {
            add(
                .flat,
                "the weights hardly differ: their standard deviation, \(standardDeviation), is below "
                    + "1e-6"
            )
        }
        if let collapsedShare, collapsedShare > 0.01 {
            let percent = (collapsedShare * 1000).rounded() / 10
            add(
                .collapse,
                "scale collapse: \(percent) % of the blocks with non-zero values round to zero"
            )
        }
        return found
    }
}
