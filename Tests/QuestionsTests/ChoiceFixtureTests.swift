internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Testing

@testable internal import Questions
@testable internal import Transformer

/// Prompts, log-likelihoods and metrics equal lm-evaluation-harness's.
@Suite struct ChoiceFixtureTests {
    /// Sums of up to some tens of FP32 log-probabilities, in another order of additions.
    private static let tolerance = 1e-4

    private func scores(
        _ set: ChoiceSet,
        positions: Int,
        activations: ActivationQuantization = .none
    ) throws -> [ChoiceScore] {
        let model = try ChoiceFixture.model()
        let scorer = try ContinuationScorer(
            parameters: model.parameters,
            activations: activations,
            capacity: positions,
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        var tokenizer = AnswerTokenizer(
            model.tokenizer,
            addsSpecialTokens: false,
            positions: positions
        )
        return try set.questions.indices.map { index in
            let prefix = set.prefix(of: index)
            let question = set.questions[index]
            let sums = try question.answers.map { answer in
                let tokens = try tokenizer.tokens(
                    context: prefix + answer.context,
                    continuation: answer.continuation
                )
                return try scorer.logLikelihood(
                    context: tokens.context,
                    continuation: tokens.continuation
                )
            }
            return ChoiceScore(question, logLikelihoods: sums)
        }
    }

    @Test(arguments: ChoiceFixture.all)
    func equalsTheHarness(_ fixture: ChoiceFixture) throws {
        let expected = try fixture.expected()
        let set = try fixture.set(expected.fewShot)
        for (index, requests) in expected.firstRequests.enumerated() {
            let prefix = set.prefix(of: index)
            let own = set.questions[index].answers.map { [prefix + $0.context, $0.continuation] }
            #expect(own == requests)
        }
        let scores = try scores(set, positions: expected.positions ?? 2048)
        try #require(scores.count == expected.samples.count)
        var sums = [0.0, 0.0]
        for (index, (score, sample)) in zip(scores, expected.samples).enumerated() {
            try #require(score.logLikelihoods.count == sample.lls.count)
            for (own, wanted) in zip(score.logLikelihoods, sample.lls) {
                #expect(abs(own - wanted) <= Self.tolerance, "question \(index)")
            }
            if let wanted = sample.accNorm {
                #expect(score.value(of: .normalizedAccuracy) == wanted)
                sums[1] += wanted
            }
            let metric = fixture.task.metrics[0]
            let value = score.value(of: metric)
            #expect(metric.isBinary ? value == sample.acc : abs(value - sample.acc) <= 1e-4)
            sums[0] += value
        }
        let means = sums.map { $0 / Double(scores.count) }
        let accuracy = try #require(expected.metrics["acc"])
        #expect(abs(means[0] - accuracy) <= (fixture.task.metrics[0].isBinary ? 1e-12 : 1e-4))
        #expect(expected.metrics["acc_norm"].map { abs($0 - means[1]) <= 1e-12 } ?? true)
    }

    /// The JSON lines of all subjects and the tables of each are the same questions.
    @Test func bothLayoutsOfMMLUAreTheSame() throws {
        let subjects = ["abstract_algebra", "high_school_us_history", "virology"]
        let path = ChoiceFixture.path
        let lines = try ChoiceSet(
            MMLU(),
            questions: [path("questions/mmlu.jsonl")],
            examples: [path("questions/mmlu_dev.jsonl")],
            .init(exampleCount: 5)
        )
        let tables = try ChoiceSet(
            MMLU(),
            questions: subjects.map { try path("questions/mmlu/\($0)_test.csv") },
            examples: subjects.map { try path("questions/mmlu/\($0)_dev.csv") },
            .init(exampleCount: 5)
        )
        #expect(lines.questions.count == 200 && tables.questions.count == 200)
        #expect(lines.questions.map(\.answers) == tables.questions.map(\.answers))
        #expect(lines.questions.map(\.isRight) == tables.questions.map(\.isRight))
        #expect(lines.questions.map(\.subject) == tables.questions.map(\.subject))
        #expect((0..<200).allSatisfy { lines.prefix(of: $0) == tables.prefix(of: $0) })
    }

    /// An answer scores as it does alone.
    ///
    /// Inputs that share a scale per tensor are one pass for each answer; others reuse the cache.
    @Test(arguments: ["mxfp8", "fp8_per_tensor"])
    func sharedPrefixesChangeNoNumber(_ format: String) throws {
        let model = try ChoiceFixture.model()
        let rounded = try #require(QuantizationFormat(algorithm: format))
        var activations = ActivationQuantization()
        for layer in 0..<model.configuration.layerCount {
            for module in model.configuration.linearModules {
                activations.inputs[module.name(layer: layer)] = .init(format: rounded)
            }
        }
        func scorer() throws -> ContinuationScorer {
            try ContinuationScorer(
                parameters: model.parameters,
                activations: activations,
                capacity: 512,
                device: CPUDevice(team: ThreadTeam(threadCount: 1))
            )
        }
        var random = SplitMix64(seed: 3)
        func tokens(_ count: Int) -> [Int32] { (0..<count).map { _ in Int32(random.below(320)) } }
        let context = tokens(200)
        let answers = [tokens(5), tokens(1), tokens(40), tokens(5)]
        let shared = try scorer()
        for answer in answers + [answers[1]] {
            let own = try shared.logLikelihood(context: context, continuation: answer)
            let alone = try scorer().logLikelihood(context: context, continuation: answer)
            #expect(abs(own - alone) <= 1e-3, "\(own) \(alone)")
        }
    }
}
