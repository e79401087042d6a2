internal import Inference
internal import JobSpecs
internal import ModelFiles
internal import Questions
internal import ServiceKit

/// Problems in words: a model generates answers, and the numbers in them are compared.
final class WordProblemsTask: EvaluationTask {
    private let asked: GSM8K
    private let name: String
    private let samples: SampleFile
    private var outcomes: QuestionOutcomes

    /// `seed`: Of the intervals' draws.
    init(
        index: Int,
        settings: EvaluateSpec.QuestionFiles,
        _ asked: GSM8K,
        samples: SampleFile,
        seed: UInt64
    ) {
        self.asked = asked
        self.samples = samples
        name = settings.type.rawValue
        outcomes = QuestionOutcomes(
            index: index,
            settings: settings,
            subjects: asked.problems.map { _ in nil },
            seed: seed
        )
    }

    func comparisons(of labels: [String]) -> [Comparison] { outcomes.comparisons(of: labels) }

    /// Tokens of a problem, for the time that is left: four bytes are about one.
    private var tokenCount: Int { asked.prompt(of: 0).utf8.count / 4 + GSM8K.answerLength }

    func effort(on plan: EvaluationSubject.Plan) -> TaskEffort {
        TaskEffort(count: asked.problems.count, tokenCount: tokenCount)
    }

    func run(_ subject: EvaluationSubject) throws -> [Measurement] {
        let asking = try AnswerRequests(
            asked.problems.indices.map(asked.prompt),
            subject.tokenizer(),
            subject.configuration
        )
        let texts = try subject.write(
            asking.requests,
            length: asking.length,
            task: name,
            tokenCount: tokenCount
        )
        let found = zip(asked.problems, texts).enumerated().map { place, pair in
            ProblemSample(subject.label, place, pair.0, text: asking.answer(pair.1))
        }
        for sample in found { try samples.append(sample) }
        if asking.cutCount > 0 {
            subject.log(
                """
                \(name): \(asking.cutCount) of \(asked.problems.count) prompts leave no room for \
                \(GSM8K.answerLength) tokens in the model's positions and lack their beginning
                """
            )
        }
        return outcomes.add(
            subject.label,
            [
                .init(
                    name: .strictMatch,
                    values: found.map { Double($0.exactMatchStrict) },
                    isBinary: true
                ),
                .init(
                    name: .flexibleMatch,
                    values: found.map { Double($0.exactMatchFlexible) },
                    isBinary: true
                ),
            ]
        )
    }
}

/// A line of the samples.
private struct ProblemSample: Encodable {
    /// The model.
    let label: String
    /// The problem's place among those asked.
    let question: Int
    /// The file and the line.
    let source: String
    /// What the model generated, without what ended it.
    let text: String
    /// The numbers that the filters find in it.
    let strict: String
    let flexible: String
    let exactMatchStrict: Int
    let exactMatchFlexible: Int

    init(_ label: String, _ question: Int, _ problem: GSM8K.Problem, text: String) {
        self.label = label
        self.question = question
        source = problem.place
        self.text = text
        strict = NumberAnswer.strict(text)
        flexible = NumberAnswer.flexible(text)
        exactMatchStrict = NumberAnswer.isExactMatch(strict, answer: problem.answer) ? 1 : 0
        exactMatchFlexible = NumberAnswer.isExactMatch(flexible, answer: problem.answer) ? 1 : 0
    }
}
