internal import Devices
internal import JobSpecs
internal import ModelFiles
internal import Questions
internal import ServiceKit
internal import Transformer

/// Questions with answers to choose from: how likely a model finds each.
final class ChoiceQuestionsTask: EvaluationTask {
    private let index: Int
    private let settings: EvaluateSpec.QuestionFiles
    private let asked: ChoiceSet
    private let samples: SampleFile
    private var outcomes: QuestionOutcomes

    /// `seed`: Of the intervals' draws.
    init(
        index: Int,
        settings: EvaluateSpec.QuestionFiles,
        _ asked: ChoiceSet,
        samples: SampleFile,
        seed: UInt64
    ) {
        self.index = index
        self.settings = settings
        self.asked = asked
        self.samples = samples
        outcomes = QuestionOutcomes(
            index: index,
            settings: settings,
            subjects: asked.questions.map(\.subject),
            seed: seed
        )
    }

    private var name: String { settings.type.rawValue }

    /// Tokens of a question, for the time that is left: four bytes are about one.
    private var tokenCount: Int { max(asked.byteCount / asked.questions.count / 4, 1) }

    func effort(on plan: EvaluationSubject.Plan) -> TaskEffort {
        TaskEffort(count: asked.questions.count, tokenCount: tokenCount)
    }

    func run(_ subject: EvaluationSubject) throws -> [Measurement] {
        var asking = try QuestionScoring(subject)
        let tokenCount = tokenCount
        let scores = try asked.questions.indices.map { place in
            let score = try asking.score(asked.questions[place], prefix: asked.prefix(of: place))
            try samples.append(sample(place, score, subject.label))
            try subject.finishStep(
                name,
                place + 1,
                of: asked.questions.count,
                tokenCount: tokenCount
            )
            return score
        }
        if asking.cutCount > 0 {
            subject.log(
                """
                \(name): \(asking.cutCount) of \(asked.questions.count) questions are longer than the model's \
                \(asking.positions) positions and lack their beginning
                """
            )
        }
        return outcomes.add(
            subject.label,
            asked.task.metrics.map { metric in
                QuestionOutcomes.Values(
                    name: metric.name,
                    values: scores.map { $0.value(of: metric) },
                    isBinary: metric.isBinary
                )
            }
        )
    }

    func comparisons(of labels: [String]) -> [Comparison] { outcomes.comparisons(of: labels) }

    private func sample(_ place: Int, _ score: ChoiceScore, _ label: String) -> ChoiceSample {
        let question = asked.questions[place]
        func value(_ metric: ChoiceMetric) -> Double? {
            asked.task.metrics.contains(metric) ? score.value(of: metric) : nil
        }
        return ChoiceSample(
            label: label,
            question: place,
            source: question.place,
            subject: question.subject,
            logLikelihoods: score.logLikelihoods,
            lengths: question.answers.map(\.length),
            right: question.isRight.indices.filter { question.isRight[$0] },
            picked: score.picked,
            acc: value(.accuracy) ?? value(.rightMass),
            accNorm: value(.normalizedAccuracy)
        )
    }
}

/// A line of the samples.
private struct ChoiceSample: Encodable {
    /// The model.
    let label: String
    /// The question's place among those asked.
    let question: Int
    /// The file and the line.
    let source: String
    let subject: String?
    /// Of each answer, in nats.
    let logLikelihoods: [Double]
    /// Code points of each answer.
    let lengths: [Int]
    /// Places of right answers.
    let right: [Int]
    /// The place of the likeliest.
    let picked: Int
    let acc: Double?
    let accNorm: Double?
}

extension ChoiceMetric {
    /// As results call it.
    fileprivate var name: Measurement.Name {
        switch self {
        case .accuracy, .rightMass: .choiceAccuracy
        case .normalizedAccuracy: .normalizedChoiceAccuracy
        }
    }
}
