/// Ends a run whose validations get no better, as Lightning's callback of that name does.
struct EarlyStopping: Equatable {
    /// When.
    struct Rule: Equatable {
        /// Validations in a row without a better loss.
        var patience: Int
        /// What a loss must be lower by to count as better.
        var minimumDelta: Double
        /// A loss below which the run ends at once; nil for none.
        var threshold: Double?
    }

    /// Why a run ended.
    enum Cause: Int {
        case patience = 1
        case threshold = 2
    }

    /// The loss to beat; nil before the first validation.
    var best: Double?
    /// Validations since then.
    var waited = 0

    /// Takes a validation's loss; returns why the run ends, if it does.
    mutating func take(_ loss: Double, by rule: Rule) -> Cause? {
        if let threshold = rule.threshold, loss < threshold { return .threshold }
        guard let best, loss >= best - rule.minimumDelta else {
            self.best = loss
            waited = 0
            return nil
        }
        waited += 1
        return waited >= rule.patience ? .patience : nil
    }
}
