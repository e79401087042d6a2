internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// The moving average of the weights.
struct WeightAverageTests {
    private static func engine(
        decay: Double?,
        copiesHost: Bool = false,
        frozen: String = "no parameter"
    ) throws -> TrainingEngine {
        try tinyEngine(
            .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                averageDecay: decay,
                batchSize: 2,
                length: 16
            ),
            copiesHost: copiesHost,
            isFrozen: { $0.contains(frozen) }
        )
    }

    /// By hand, in double precision: a is d a + (1 - d) w, with d = min(0.5, (1 + n) / (10 + n)), which is
    /// 2/11, 3/12, 4/13, … and ½ from step 8 on; frozen weights stay what they are.
    @Test func isTheDefinition() throws {
        let engine = try Self.engine(decay: 0.5, frozen: "embed_tokens")
        var expected = engine.parameters.storage.elements.map(Double.init)
        #expect(
            MomentRuns.weights(engine.trained) == MomentRuns.weights(engine.parameters)
        )
        for step in 0..<12 {
            try MomentRuns.train(engine, from: step, to: step + 1)
            let n = Double(step + 1)
            let decay = min(0.5, (1 + n) / (10 + n))
            for (index, weight) in engine.parameters.storage.elements.enumerated() {
                expected[index] = decay * expected[index] + (1 - decay) * Double(weight)
            }
        }
        let found = MomentRuns.weights(engine.trained)
        #expect(relativeError(found, expected.map { Float($0) }) <= 1e-6)
        #expect(relativeError(found, MomentRuns.weights(engine.parameters)) > 1e-5)
        let embedding = "model.embed_tokens.weight"
        #expect(
            try engine.trained.elements(named: embedding)
                .elementsEqual(engine.parameters.elements(named: embedding))
        )
    }

    /// The average changes nothing of what is averaged.
    @Test func weightsTrainAsWithoutIt() throws {
        let weights = try [nil, 0.9].map { decay in
            let engine = try Self.engine(decay: decay)
            try MomentRuns.train(engine, from: 0, to: 4)
            return MomentRuns.weights(engine.parameters)
        }
        #expect(weights[0] == weights[1])
    }

    @Test(arguments: [false, true])
    func resumedRunRepeatsTheUninterruptedOne(copiesHost: Bool) throws {
        let whole = try Self.engine(decay: 0.9)
        try MomentRuns.train(whole, from: 0, to: 6)
        let first = try Self.engine(decay: 0.9, copiesHost: copiesHost)
        try MomentRuns.train(first, from: 0, to: 3)
        let second = try Self.engine(decay: 0.9, copiesHost: copiesHost)
        MomentRuns.restore(second, from: first)
        try MomentRuns.train(second, from: 3, to: 6)
        #expect(
            MomentRuns.weights(second.trained) == MomentRuns.weights(whole.trained)
        )
        #expect(
            MomentRuns.weights(second.parameters) == MomentRuns.weights(whole.parameters)
        )
    }

    /// Weights that are put in before the first step are those the average begins at.
    @Test(arguments: [false, true])
    func beginsAtTheRunsStart(copiesHost: Bool) throws {
        let engine = try Self.engine(decay: 0.9, copiesHost: copiesHost)
        let parameters = engine.parameters
        for index in 0..<parameters.storage.count { parameters.storage.pointer[index] *= 0.5 }
        engine.resume(atStep: 0)
        #expect(
            MomentRuns.weights(engine.trained) == MomentRuns.weights(engine.parameters)
        )
    }

    @Test func takesAsMuchMemoryAsTheWeights() throws {
        func bytes(_ averages: Bool) -> Int {
            MemoryPlan(
                training: .smolLM2With135MParameters,
                .init(
                    recipe: .none,
                    distillation: nil,
                    batchSize: 1,
                    length: 16,
                    averagesWeights: averages,
                    threads: 1
                ),
                isFrozen: { _ in false }
            ).byteCount
        }
        let count = ParameterLayout(configuration: .smolLM2With135MParameters).totalCount
        #expect(bytes(true) - bytes(false) == 4 * count)
    }
}
