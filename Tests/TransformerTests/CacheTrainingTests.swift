internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Training with keys and values rounded as an FP8 cache stores them.
struct CacheTrainingTests {
    private static let recipe = QuantizationRecipe(defaultFormat: .mxfp4)

    private static func engine(
        _ parameters: Parameters,
        checkpointsActivations: Bool = false,
        threads: Int = 2
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: parameters,
            teacher: nil,
            settings: .init(
                recipe: recipe,
                batchSize: 2,
                length: 12,
                checkpointsActivations: checkpointsActivations
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: ThreadTeam(threadCount: threads))
        )
    }

    private static func numbers(_ fixture: LlamaFixture, _ key: String) -> [Float] {
        guard case .numbers(let values)? = fixture.index[key] else { return [] }
        return values.map { Float($0) }
    }

    /// Against `Fixtures/make_cache_fixtures.py`: PyTorch's autograd and its float8_e4m3fn.
    @Test(arguments: [false, true])
    func rangesLossAndGradientsEqualPyTorch(checkpointsActivations: Bool) throws {
        let llama = try LlamaFixture()
        let fixture = try LlamaFixture("cache")
        let parameters = try llama.parameters("distilled.weights", tied: false)
        let tokens = try llama.tokens("distilled.tokens")
        let device = CPUDevice(team: ThreadTeam(threadCount: 2))
        let ranges = try CacheRanges.measure(
            parameters,
            recipe: Self.recipe,
            on: CalibrationWindows(texts: [tokens], length: 12, limit: 8, seed: 1),
            device: device
        )
        #expect(relativeError(ranges.keys, Self.numbers(fixture, "keys")) < 1e-5)
        #expect(relativeError(ranges.values, Self.numbers(fixture, "values")) < 1e-5)
        let engine = try Self.engine(parameters, checkpointsActivations: checkpointsActivations)
        let plain = try engine.step(tokens: tokens, learningRate: 0, progress: 0).loss
        #expect(abs(plain - (try fixture.number("plain"))) < 1e-5)
        // PyTorch's own ranges: a rounding that falls otherwise would show.
        try engine.roundCache(
            CacheRanges(
                keys: Self.numbers(fixture, "keys"),
                values: Self.numbers(fixture, "values")
            )
        )
        let rounded = try engine.step(tokens: tokens, learningRate: 0, progress: 0).loss
        #expect(abs(rounded - (try fixture.number("loss"))) < 2e-5)
        var expected = try fixture.vector("gradients")
        for entry in parameters.layout.entries {
            let found = try #require(engine.gradient(ofParameter: entry.name))
            let wanted = expected.prefix(entry.count)
            expected = expected.dropFirst(entry.count)
            #expect(relativeError(found, wanted) < 2e-3, "\(entry.name)")
        }
        #expect(abs(rounded - plain) > 1e-5)
    }

    /// What is trained is what an evaluation under the same scales computes.
    @Test func lossIsThatOfAnEvaluation() throws {
        let llama = try LlamaFixture()
        let parameters = try llama.parameters("distilled.weights", tied: false)
        let tokens = try llama.tokens("distilled.tokens")
        let ranges = CacheRanges(keys: [2, 3], values: [1, 1.5])
        let device = CPUDevice(team: ThreadTeam(threadCount: 1))
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: Self.recipe,
            activations: ActivationQuantization(Self.recipe, of: parameters.configuration)
                .with(cache: ranges),
            length: 12,
            device: device
        )
        let expected = try evaluator.evaluate(tokens: tokens, windows: 2).meanLoss
        for threads in [1, 3] {
            let engine = try Self.engine(parameters, threads: threads)
            try engine.roundCache(ranges)
            let found = try engine.step(tokens: tokens, learningRate: 0, progress: 0).loss
            #expect(abs(found - expected) < 1e-6)
        }
    }

    @Test func rangesOfAnotherModelAreRefused() throws {
        let engine = try Self.engine(
            try LlamaFixture().parameters("distilled.weights", tied: false)
        )
        #expect(throws: TransformerError.self) {
            try engine.roundCache(CacheRanges(keys: [1], values: [1]))
        }
        #expect(throws: TransformerError.self) {
            try engine.roundCache(CacheRanges(keys: [1, .infinity], values: [1, 1]))
        }
    }
}
