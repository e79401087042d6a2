internal import CHeapUse
internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Transformer

struct PerplexityEvaluatorTests {
    @Test func uniformModelHasThePerplexityOfItsVocabulary() throws {
        let configuration = tinyConfiguration()
        let parameters = try Parameters(configuration: configuration)
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: 8,
            device: CPUDevice(team: ThreadTeam(threadCount: 2))
        )
        let tokens = (0..<40).map { Int32($0 % 53) }
        let result = try evaluator.evaluate(tokens: tokens, windows: 4)
        #expect(abs(result.perplexity - 53) <= 1e-3)
        #expect(result.windowCount == 4 && result.targetCount == 28)
        // All windows are alike: no spread.
        #expect(result.confidenceInterval == [result.perplexity, result.perplexity])
        let first = try evaluator.evaluate(tokens: tokens, windows: 1)
        #expect(first.confidenceInterval == nil && first.accuracyInterval == nil)
    }

    @Test func intervalsAreStudentsT() throws {
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 5,
            deviation: 0.2
        )
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: 8,
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        let tokens = (0..<24).map { Int32(($0 * $0) % 53) }
        let losses = try (0..<3).map { window in
            try evaluator.evaluate(
                tokens: Array(tokens[window * 8..<window * 8 + 8]),
                windows: 1
            ).meanLoss
        }
        let mean = (losses[0] + losses[1] + losses[2]) / 3
        let squares = losses.map { ($0 - mean) * ($0 - mean) }
        // The 97.5 % quantile of Student's t with two degrees of freedom (mpmath).
        let variance = (squares[0] + squares[1] + squares[2]) / 2
        let margin = 4.3026527297494639 * (variance / 3).squareRoot()
        let result = try evaluator.evaluate(tokens: tokens, windows: 3)
        let interval = try #require(result.confidenceInterval)
        #expect(abs(interval[0] - exp(mean - margin)) <= 1e-9 * interval[0])
        #expect(abs(interval[1] - exp(mean + margin)) <= 1e-9 * interval[1])
    }

    @Test func recipeEqualsWeightsRoundedInAdvance() throws {
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 5,
            deviation: 0.2
        )
        let team = ThreadTeam(threadCount: 2)
        let tokens = (0..<64).map { Int32(($0 * 11) % 53) }
        for format in [QuantizationFormat.mxfp4, .nvfp4, .mxfp6E2M3, .mxfp8] {
            let recipe = QuantizationRecipe(defaultFormat: format)
            let simulated = try PerplexityEvaluator(
                parameters: parameters,
                recipe: recipe,
                length: 16,
                device: CPUDevice(team: team)
            ).evaluate(tokens: tokens, windows: 4)
            let rounded = try parameters.copy()
            try rounded.fakeQuantize(by: recipe, team: team)
            let exported = try PerplexityEvaluator(
                parameters: rounded,
                recipe: .none,
                length: 16,
                device: CPUDevice(team: team)
            ).evaluate(tokens: tokens, windows: 4)
            #expect(simulated == exported, "\(format.name)")
        }
    }

    @Test func refusesShortAndForeignTexts() throws {
        let evaluator = try PerplexityEvaluator(
            parameters: try Parameters(configuration: tinyConfiguration()),
            recipe: .none,
            length: 8,
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        #expect(throws: TransformerError.self) {
            try evaluator.evaluate(tokens: [1, 2, 3], windows: 1)
        }
        #expect(throws: TransformerError.self) {
            try evaluator.evaluate(tokens: [Int32](repeating: 53, count: 8), windows: 1)
        }
    }
}

struct RatioEstimateTests {
    /// Of 21 in 12 targets; residuals 1.25, 0.25 and -1.5; Student's t of two degrees is 4.302653.
    @Test func windowsCountByTheirTargets() throws {
        let found = RatioEstimate([(10, 5), (2, 1), (9, 6)])
        #expect(found.ratio == 1.75)
        let interval = try #require(found.interval)
        let margin = 4.302653 * (1.5 * 3.875).squareRoot() / 12
        #expect(abs(interval[0] - (1.75 - margin)) < 1e-6)
        #expect(abs(interval[1] - (1.75 + margin)) < 1e-6)
        #expect(RatioEstimate([(3, 2)]).interval == nil)
    }

    /// Where all have as many targets, it is the mean of means, and its interval.
    @Test func equalWindowsAreMeans() throws {
        let found = RatioEstimate([(8, 4), (12, 4), (10, 4), (14, 4)])
        #expect(found.ratio == 2.75)
        // Means 2, 3, 2.5, 3.5: a variance of 5/12, over four; t of three degrees is 3.182446.
        let margin = 3.182446 * (5.0 / 12 / 4).squareRoot()
        let interval = try #require(found.interval)
        #expect(abs(interval[1] - interval[0] - 2 * margin) < 1e-6)
    }
}

struct GeneratorTests {
    @Test(arguments: [1, 3, 128])
    func cacheEqualsAWholePass(chunk: Int) throws {
        // The greedy continuation with a cache is that of evaluating each prefix as a whole.
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 8,
            deviation: 0.3
        )
        let team = ThreadTeam(threadCount: 2)
        let generator = try Generator(
            parameters: parameters,
            capacity: 24,
            chunk: chunk,
            device: CPUDevice(team: team)
        )
        var tokens: [Int32] = [3, 14, 15, 9, 26]
        try generator.append(tokens)
        for _ in 0..<6 {
            let next = generator.sample(SamplingOptions())
            #expect(next == (try Self.greedy(after: tokens, parameters, team)))
            tokens.append(next)
            try generator.append([next])
        }
    }

    private static func greedy(
        after tokens: [Int32],
        _ parameters: Parameters,
        _ team: ThreadTeam
    ) throws -> Int32 {
        let weights = try LayerWeights(
            parameters: parameters,
            recipe: .none,
            device: CPUDevice(team: team)
        )
        let pass = DecoderPass(window: tokens.count, weights: weights)
        pass.forward(tokens)
        let logits = pass.device.logits(
            hidden: pass.finalNorm.rows(tokens.count - 1..<tokens.count),
            head: weights.effectiveHead()
        )
        return Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
    }

    /// A model whose next token has the given probabilities, whatever came before.
    ///
    /// Its layers add nothing to an embedding of ones, which the norm leaves alone: a row of the head
    /// that holds `logit / width` throughout gives this logit.
    private static func model(of probabilities: [Int: Double]) throws -> Parameters {
        var configuration = tinyConfiguration()
        configuration.tiedEmbeddings = false
        let parameters = try Parameters(configuration: configuration)
        try parameters.elements(named: "model.embed_tokens.weight").update(repeating: 1)
        try parameters.elements(named: "model.norm.weight").update(repeating: 1)
        let head = try parameters.elements(named: "lm_head.weight")
        let width = configuration.hiddenSize
        for token in 0..<configuration.vocabularySize {
            let logit = probabilities[token].map { log($0) } ?? -60
            for column in 0..<width {
                head[token * width + column] = Float(logit / Double(width))
            }
        }
        return parameters
    }

    /// What a nucleus leaves of the probabilities 1/2, 1/4, 1/8, 1/16, 1/16, by hand.
    ///
    /// That of 0.7 are the first two, with 2/3 and 1/3 of the draws; that of 0.8 the first three, with
    /// 4/7, 2/7 and 1/7. At the temperature 2 they are as their square roots, 0.343, 0.243, 0.172, 0.121,
    /// 0.121: 0.7 takes three.
    struct Nucleus: Sendable {
        let temperature: Double
        let topP: Double
        /// Of the draws, most likely first.
        let shares: [Double]
    }

    private static let nuclei = [
        Nucleus(temperature: 1, topP: 0.3, shares: [1]),
        Nucleus(temperature: 1, topP: 0.7, shares: [0.66667, 0.33333]),
        Nucleus(temperature: 1, topP: 0.8, shares: [0.57143, 0.28571, 0.14286]),
        Nucleus(temperature: 1, topP: 1, shares: [0.5, 0.25, 0.125, 0.0625, 0.0625]),
        Nucleus(temperature: 2, topP: 0.7, shares: [0.45308, 0.32038, 0.22654]),
    ]

    @Test(arguments: nuclei)
    func drawsFollowTheNucleus(nucleus: Nucleus) throws {
        let shares = nucleus.shares
        let tokens = [17, 3, 40, 8, 29]
        let probabilities = [0.5, 0.25, 0.125, 0.0625, 0.0625]
        let generator = try Generator(
            parameters: try Self.model(
                of: Dictionary(uniqueKeysWithValues: zip(tokens, probabilities))
            ),
            capacity: 1,
            seed: 5,
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        let draws = 4000
        var counts: [Int: Int] = [:]
        for _ in 0..<draws {
            generator.reset()
            try generator.append([0])
            let options = SamplingOptions(
                temperature: nucleus.temperature,
                topP: nucleus.topP
            )
            counts[Int(generator.sample(options)), default: 0] += 1
        }
        #expect(Set(counts.keys) == Set(tokens.prefix(shares.count)))
        for (token, share) in zip(tokens, shares) {
            // Five standard deviations of a binomial draw.
            let bound = 5 * (Double(draws) * share * (1 - share)).squareRoot()
            let count = Double(counts[token] ?? 0)
            #expect(abs(count - Double(draws) * share) <= bound, "token \(token): \(counts)")
        }
    }

    @Test func drawsRepeatBySeed() throws {
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 8,
            deviation: 0.3
        )
        func draw(seed: UInt64) throws -> [Int32] {
            let generator = try Generator(
                parameters: parameters,
                capacity: 64,
                seed: seed,
                device: CPUDevice(team: ThreadTeam(threadCount: 1))
            )
            try generator.append([1])
            return try (0..<30).map { _ in
                let next = generator.sample(SamplingOptions(temperature: 1, topP: 0.9))
                try generator.append([next])
                return next
            }
        }
        #expect(try draw(seed: 1) == draw(seed: 1))
        #expect(try draw(seed: 1) != draw(seed: 2))
    }

    @Test func refusesMoreThanItsCapacity() throws {
        let generator = try Generator(
            parameters: try Parameters(configuration: tinyConfiguration()),
            capacity: 4,
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        #expect(throws: TransformerError.self) { try generator.append([1, 2, 3, 4, 5]) }
        #expect(throws: TransformerError.self) { try generator.append([53]) }
    }
}

struct LearningRateScheduleTests {
    @Test func warmsUpFallsAndStays() {
        let schedule = LearningRateSchedule(
            peak: 1,
            minimum: 0.1,
            warmupSteps: 4,
            constantSteps: 2,
            totalSteps: 16
        )
        #expect(schedule.rate(step: 0) == 0.25)
        #expect(schedule.rate(step: 3) == 1)
        #expect(schedule.rate(step: 4) == 1)
        #expect(abs(schedule.rate(step: 9) - 0.55) <= 1e-12)
        #expect(schedule.rate(step: 14) == 0.1)
        #expect(schedule.rate(step: 15) == 0.1)
        let rates = (4..<16).map { schedule.rate(step: $0) }
        #expect(zip(rates, rates.dropFirst()).allSatisfy { $0 >= $1 })
    }
}

struct ModelConfigurationTests {
    @Test func countsSmolLM2() {
        #expect(ModelConfiguration.smolLM2With135MParameters.parameterCount == 134_515_008)
    }

    @Test func refusesAbsurdSizes() {
        let fields: [WritableKeyPath<ModelConfiguration, Int>] = [
            \.hiddenSize, \.layerCount, \.vocabularySize, \.headCount, \.keyValueHeadCount,
            \.headDimension, \.intermediateSize, \.maximumPositions,
        ]
        for field in fields {
            for value in [0, -1, Int.max] {
                var configuration = tinyConfiguration()
                configuration[keyPath: field] = value
                #expect(throws: TransformerError.self) { try configuration.validate() }
            }
        }
    }
}

struct AllocationTests {
    /// In a process of its own, where no other test allocates.
    @Test func stepsAllocateNothing() async {
        await #expect(processExitsWith: .success) {
            try Self.expectNoGrowth(of: QuantizationRecipe(defaultFormat: .mxfp4))
        }
    }

    /// Nor where each step has another format than the one before.
    @Test func stepsInTurnAllocateNothing() async {
        await #expect(processExitsWith: .success) {
            try Self.expectNoGrowth(
                of: QuantizationRecipe(defaultFormat: .mxfp8, alternation: [.mxfp8, .nvfp4])
            )
        }
    }

    private static func expectNoGrowth(of recipe: QuantizationRecipe) throws {
        let engine = try tinyEngine(tinyConfiguration(), recipe: recipe)
        let tokens = (0..<32).map { Int32($0 % 50) }
        var growths = [Int](repeating: 0, count: 10)
        for round in -1..<growths.count {
            let before = Int(heap_byte_count())
            for _ in 0..<5 {
                _ = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
            }
            // The first round warms up: what is made once and kept.
            if round >= 0 { growths[round] = Int(heap_byte_count()) - before }
        }
        #expect(growths.allSatisfy { $0 <= 0 }, "bytes by five steps each: \(growths)")
    }
}
