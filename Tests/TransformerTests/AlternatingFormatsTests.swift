internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// One training for several formats, which its steps take in turn.
struct AlternatingFormatsTests {
    private static let formats: [QuantizationFormat] = [.mxfp8, .mxfp6E2M3, .mxfp4]

    private static func recipe(
        _ formats: [QuantizationFormat] = formats,
        activations: QuantizationFormat? = nil
    ) -> QuantizationRecipe {
        QuantizationRecipe(
            defaultFormat: formats[0],
            activations: activations,
            straightThrough: .clip,
            alternation: formats.count > 1 ? formats : []
        )
    }

    /// What a training may have beside.
    enum Extras: CaseIterable {
        case none, distillation, average, adapters, randomRounding, damping, inputs, lion
    }

    private static func engine(
        _ recipe: QuantizationRecipe = recipe(),
        _ extras: Extras = .none,
        accumulation: Int = 1
    ) throws -> TrainingEngine {
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 3,
            deviation: 0.3
        )
        var recipe = recipe
        if extras == .inputs { recipe.activations = .mxfp8 }
        return try TrainingEngine(
            parameters: parameters,
            teacher: extras == .distillation ? try parameters.copy() : nil,
            settings: .init(
                recipe: recipe,
                objective: extras == .distillation
                    ? .distillation(Distillation()) : .crossEntropy,
                optimizer: OptimizerConfiguration(extras == .lion ? .lion : .adamW),
                averageDecay: extras == .average ? 0.9 : nil,
                damping: extras == .damping ? 0.01 : 0,
                batchSize: 2,
                accumulation: accumulation,
                length: 16,
                roundingSeed: extras == .randomRounding ? 5 : nil,
                adapters: extras == .adapters
                    ? AdapterConfiguration(rank: 4, scale: 2, seed: 1) { _ in true } : nil
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: ThreadTeam(threadCount: 2))
        )
    }

    private static func tokens(_ step: Int, count: Int = 32) -> [Int32] {
        (0..<count).map { Int32(($0 * $0 * 7 + step * 11 + $0) % 53) }
    }

    @discardableResult
    private static func train(
        _ engine: TrainingEngine,
        to end: Int,
        rate: Double = 1e-3
    ) throws -> [Double] {
        try (engine.stepCount..<end).map { step in
            try engine.step(
                tokens: tokens(step),
                learningRate: rate,
                progress: Double(step) / 12
            ).loss
        }
    }

    /// By the definition: step n is one of a training for format n mod 3 alone, whose weights and moments are
    /// what the steps before left.
    @Test(arguments: Extras.allCases)
    func stepsAreThoseOfTheirFormats(extras: Extras) throws {
        let whole = try Self.engine(Self.recipe(), extras)
        let losses = try Self.train(whole, to: 8)
        let singles = try Self.formats.map { try Self.engine(Self.recipe([$0]), extras) }
        var found: [Double] = []
        for step in 0..<8 {
            let engine = singles[step % 3]
            if step > 0 { Self.restore(engine, from: singles[(step - 1) % 3]) }
            found += try Self.train(engine, to: step + 1)
        }
        #expect(found == losses)
        #expect(
            MomentRuns.weights(singles[7 % 3].trained) == MomentRuns.weights(whole.trained)
        )
        // Formats differ, or there would be nothing to see.
        #expect(
            MomentRuns.weights(whole.trained)
                != MomentRuns.weights(try Self.trained(Self.recipe([.mxfp8]), extras))
        )
    }

    private static func trained(
        _ recipe: QuantizationRecipe,
        _ extras: Extras
    ) throws -> Parameters {
        let engine = try Self.engine(recipe, extras)
        try train(engine, to: 8)
        return engine.trained
    }

    private static func restore(_ target: TrainingEngine, from source: TrainingEngine) {
        target.stored.storage.pointer.update(
            from: source.stored.storage.pointer,
            count: source.stored.storage.count
        )
        for (target, source) in zip(target.state, source.state) {
            target.bytes.copyMemory(from: UnsafeRawBufferPointer(source.bytes))
        }
        target.resume(atStep: source.stepCount)
    }

    /// A run that resumes anywhere in the cycle does what it would have done.
    @Test(arguments: Extras.allCases, [1, 3, 5])
    func resumedRunsRepeatTheUninterruptedOne(extras: Extras, pause: Int) throws {
        let whole = try Self.engine(Self.recipe(), extras)
        let losses = try Self.train(whole, to: 8)
        let first = try Self.engine(Self.recipe(), extras)
        try Self.train(first, to: pause)
        let second = try Self.engine(Self.recipe(), extras)
        Self.restore(second, from: first)
        #expect(try Self.train(second, to: 8) == Array(losses.suffix(8 - pause)))
        #expect(MomentRuns.weights(second.trained) == MomentRuns.weights(whole.trained))
    }

    /// All micro-batches of a step have its format.
    @Test func aStepHasOneFormat() throws {
        let whole = try Self.engine(accumulation: 3)
        let single = try Self.engine(Self.recipe([.mxfp6E2M3]), accumulation: 3)
        let batch = Self.tokens(1, count: 96)
        _ = try whole.step(tokens: batch, learningRate: 0, progress: 0)
        let loss = try single.step(tokens: batch, learningRate: 0, progress: 0).loss
        #expect(try whole.step(tokens: batch, learningRate: 0, progress: 0).loss == loss)
    }

    /// The divergence from the unquantized teacher on text that was not trained on, by format.
    private static func divergence(
        _ parameters: Parameters,
        from teacher: Parameters,
        in format: QuantizationFormat
    ) throws -> Double {
        let engine = try TrainingEngine(
            parameters: try parameters.copy(),
            teacher: teacher,
            settings: .init(
                recipe: recipe([format]),
                objective: .distillation(Distillation()),
                batchSize: 2,
                length: 16
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: ThreadTeam(threadCount: 2))
        )
        return try (1000..<1016).reduce(0) {
            $0 + (try engine.step(tokens: tokens($1), learningRate: 0, progress: 0).loss) / 16
        }
    }

    /// One training is better in both of its formats than rounding without training, by a quarter at least.
    @Test func everyFormatWinsBack() throws {
        let formats: [QuantizationFormat] = [.nvfp4, .mxfp4]
        let teacher = try Self.engine().parameters.copy()
        let engine = try Self.engine(Self.recipe(formats), .distillation)
        for step in 0..<240 {
            let rate = 1e-3 * (1 - Double(step) / 240)
            _ = try engine.step(
                tokens: Self.tokens(step),
                learningRate: rate,
                progress: Double(step) / 240
            )
        }
        for format in formats {
            let rounded = try Self.divergence(teacher, from: teacher, in: format)
            let trained = try Self.divergence(engine.trained, from: teacher, in: format)
            #expect(trained < 0.75 * rounded, "\(format.name): \(rounded), trained \(trained)")
        }
    }

    /// Keys and values keep one range, which holds in each format.
    @Test func rangesOfTheCacheAreTheLargest() throws {
        let parameters = try Self.engine().parameters
        let windows = try CalibrationWindows(
            texts: [Self.tokens(0, count: 160)],
            length: 16,
            limit: 8,
            seed: 1
        )
        let device = CPUDevice(team: ThreadTeam(threadCount: 2))
        func ranges(_ recipe: QuantizationRecipe) throws -> CacheRanges {
            try CacheRanges.measure(parameters, recipe: recipe, on: windows, device: device)
        }
        let all = try ranges(Self.recipe())
        let singles = try Self.formats.map { try ranges(Self.recipe([$0])) }
        for layer in all.keys.indices {
            #expect(all.keys[layer] == singles.map { $0.keys[layer] }.max())
            #expect(all.values[layer] == singles.map { $0.values[layer] }.max())
        }
        #expect(Set(singles.map { $0.keys[0] }).count > 1)
    }

    /// What a training takes is what that for the format of the most takes: masters are shared.
    @Test func thePlanIsThatOfTheLargestFormat() {
        func bytes(_ recipe: QuantizationRecipe) -> Int {
            MemoryPlan(
                training: tinyConfiguration(),
                .init(
                    recipe: recipe,
                    distillation: Distillation(),
                    batchSize: 2,
                    length: 16,
                    threads: 2
                ),
                isFrozen: { _ in false }
            ).byteCount
        }
        #expect(bytes(Self.recipe()) == Self.formats.map { bytes(Self.recipe([$0])) }.max())
    }
}
