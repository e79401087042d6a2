internal import JobSpecs

/// What models win back of that which one of them loses against the baseline.
struct RecoveredShare {
    private let baseline: EvaluationRow
    private let worst: EvaluationRow

    /// Less than this share of the baseline's figure is next to nothing, of which a share is any number.
    private static let leastLoss = 0.005

    /// Of what `worst` loses against `baseline`.
    init(baseline: EvaluationRow, worst: EvaluationRow) {
        self.baseline = baseline
        self.worst = worst
    }

    /// The row with the share of each figure; of the baseline itself there is none.
    func applied(to row: EvaluationRow) -> EvaluationRow {
        guard row.label != baseline.label else { return row }
        var row = row
        for place in row.measurements.indices {
            row.measurements[place].recovered = share(of: row.measurements[place])
        }
        return row
    }

    private func share(of measurement: Measurement) -> Double? {
        guard let isHigherBetter = measurement.name.isHigherBetter,
            let best = baseline.measurement(like: measurement)?.value,
            let least = worst.measurement(like: measurement)?.value
        else { return nil }
        let lost = isHigherBetter ? best - least : least - best
        guard lost > 0, lost >= Self.leastLoss * best else { return nil }
        return (measurement.value - least) / (best - least)
    }
}
