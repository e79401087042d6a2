internal import Questions

/// What models answer to the same questions, to be compared question by question.
struct PairedAnswers {
    /// A figure of each question.
    struct Values {
        /// What it is.
        let name: Measurement.Name
        /// In 0 … 1, in the order of questions.
        let values: [Double]
        /// Whether they are 0 or 1.
        let isBinary: Bool
    }

    private let subjects: [String?]
    private let seed: UInt64
    /// In the order of runs.
    private var models: [(label: String, values: [Values], measurements: [Measurement])] = []

    /// `subjects`: Of each question; `seed`: of the intervals' draws.
    init(subjects: [String?], seed: UInt64) {
        self.subjects = subjects
        self.seed = seed
    }

    /// Takes a model's values, and a measurement of each.
    mutating func add(_ label: String, _ values: [Values], _ measurements: [Measurement]) {
        models.append((label, values, measurements))
    }

    /// Each model but the first of `labels` beside the first, in their order.
    func comparisons(of labels: [String]) -> [Comparison] {
        let ordered = labels.compactMap { label in models.first { $0.label == label } }
        guard let first = ordered.first else { return [] }
        return ordered.dropFirst().flatMap { model in
            zip(zip(model.values, first.values), model.measurements).map { pair, measurement in
                let (own, reference) = pair
                return Comparison(
                    measurement,
                    label: model.label,
                    reference: first.label,
                    PairedComparison(
                        own.values,
                        reference: reference.values,
                        clusters: subjects,
                        isBinary: own.isBinary,
                        seed: seed
                    )
                )
            }
        }
    }
}
