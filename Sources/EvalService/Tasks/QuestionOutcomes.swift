internal import JobSpecs
internal import Questions

/// What models come to on the same questions: their measurements, and how they compare.
struct QuestionOutcomes {
    typealias Values = PairedAnswers.Values

    private let index: Int
    private let settings: EvaluateSpec.QuestionFiles
    private let subjects: [String?]
    private let seed: UInt64
    private var answers: PairedAnswers

    /// `subjects`: Of each question; `seed`: of the intervals' draws.
    init(
        index: Int,
        settings: EvaluateSpec.QuestionFiles,
        subjects: [String?],
        seed: UInt64
    ) {
        self.index = index
        self.settings = settings
        self.subjects = subjects
        self.seed = seed
        answers = PairedAnswers(subjects: subjects, seed: seed)
    }

    /// Takes what a model came to, and returns its measurements.
    mutating func add(_ label: String, _ values: [Values]) -> [Measurement] {
        let measurements = values.map { measurement($0) }
        answers.add(label, values, measurements)
        return measurements
    }

    private func measurement(_ figure: Values) -> Measurement {
        Measurement(
            task: settings.type,
            index: index,
            text: settings.questions.count == 1 ? settings.questions[0] : nil,
            name: figure.name,
            value: figure.values.reduce(0, +) / Double(figure.values.count),
            interval: ClusterBootstrap(figure.values, clusters: subjects, seed: seed).interval,
            count: figure.values.count,
            subjects: bySubject(figure.values)
        )
    }

    private func bySubject(_ values: [Double]) -> [SubjectFigure]? {
        var sums: [String: (sum: Double, count: Int)] = [:]
        for (subject, value) in zip(subjects, values) {
            guard let subject else { return nil }
            sums[subject, default: (0, 0)].sum += value
            sums[subject, default: (0, 0)].count += 1
        }
        return sums.sorted { $0.key < $1.key }.map {
            SubjectFigure(
                subject: $0.key,
                value: $0.value.sum / Double($0.value.count),
                count: $0.value.count
            )
        }
    }

    /// Each model but the first of `labels` beside the first, in their order.
    func comparisons(of labels: [String]) -> [Comparison] { answers.comparisons(of: labels) }
}
