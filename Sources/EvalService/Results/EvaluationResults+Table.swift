internal import ComputeKit
internal import JobSpecs
internal import Transformer

extension EvaluationResults {
    /// The results as a table for people and other tools; `title`: its heading.
    func table(title: String) -> ComparisonTable {
        // Every figure that some model has: a reference has none of its own task.
        var figures: [Measurement] = []
        for measurement in rows.flatMap(\.measurements)
        where !figures.contains(where: { $0.isSameFigure(as: measurement) }) {
            figures.append(measurement)
        }
        figures.sort { $0.index < $1.index }
        return ComparisonTable(
            title: title,
            columns: figures.map(column),
            rows: rows.map { row in
                ComparisonTable.Row(
                    label: row.label,
                    memoryBytes: row.memoryBytes,
                    memoryRatio: row.memoryRatio,
                    activations: row.activations,
                    cache: row.kvCache.rawValue,
                    cells: figures.map { cell(of: row, $0) }
                )
            },
            baseline: baseline,
            recoveredFrom: recoveredFrom
        )
    }

    private func column(_ figure: Measurement) -> ComparisonTable.Column {
        let task = figure.task.rawValue
        let name = figure.name.rawValue
        let values = rows.compactMap { $0.measurement(like: figure)?.value }
        return ComparisonTable.Column(
            task: task == name ? task : "\(task) \(name)",
            text: figure.text ?? "",
            decimals: figure.name.decimals(upTo: values.max() ?? 0),
            isHigherBetter: figure.name.isHigherBetter
        )
    }

    private func cell(of row: EvaluationRow, _ figure: Measurement) -> ComparisonTable.Cell? {
        guard let own = row.measurement(like: figure) else { return nil }
        let difference = comparisons?.first {
            $0.label == row.label && $0.index == own.index && $0.name == own.name
        }
        return ComparisonTable.Cell(
            value: own.value,
            interval: own.interval,
            count: own.count,
            recovered: own.recovered,
            difference: difference.map {
                ComparisonTable.Difference(
                    value: $0.difference,
                    interval: $0.interval,
                    probability: $0.pValue
                )
            }
        )
    }
}

extension EvaluationRow {
    /// The row's figure of the same task and name as another's.
    func measurement(like other: Measurement) -> Measurement? {
        measurements.first { $0.isSameFigure(as: other) }
    }
}

extension Measurement {
    fileprivate func isSameFigure(as other: Measurement) -> Bool {
        index == other.index && name == other.name
    }
}

extension Measurement.Name {
    /// Decimals that tell figures of models apart, the largest of which is `greatest`.
    fileprivate func decimals(upTo greatest: Double) -> Int {
        switch self {
        case .perplexity: greatest < 10 ? 4 : greatest < 10_000 ? 2 : 0
        case .divergence: 5
        case .latency, .throughput, .latencyTail, .firstToken, .firstTokenTail, .betweenTokens,
            .betweenTokensTail:
            1
        case .accuracy, .choiceAccuracy, .normalizedChoiceAccuracy, .topAgreement, .flips,
            .strictMatch, .flexibleMatch, .passAt1, .passAt10, .passAt100:
            4
        }
    }
}
