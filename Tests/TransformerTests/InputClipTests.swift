internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// Inputs that are clipped to calibrated or learned thresholds.
struct InputClipTests {
    private static let recipe = QuantizationRecipe(
        defaultFormat: .mxfp4,
        activations: .fp8PerTensor
    )

    private static func engine(
        _ parameters: Parameters,
        _ scales: InputScaleSource,
        recipe: QuantizationRecipe = recipe,
        regularization: Double = 0,
        accumulation: Int = 1,
        checkpointsActivations: Bool = false,
        copiesHost: Bool = false,
        threads: Int = 2
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: parameters,
            teacher: nil,
            settings: .init(
                recipe: recipe,
                batchSize: 2,
                accumulation: accumulation,
                length: 12,
                checkpointsActivations: checkpointsActivations,
                inputScales: scales,
                clipRegularization: regularization
            ),
            isFrozen: { _ in false },
            device: RecordingDevice(
                CPUDevice(team: ThreadTeam(threadCount: threads)),
                copiesHost: copiesHost
            )
        )
    }

    private static func numbers(_ fixture: LlamaFixture, _ key: String) throws -> [Float] {
        guard case .numbers(let values)? = fixture.index[key] else {
            Issue.record("no \(key)")
            return []
        }
        return values.map { Float($0) }
    }

    private static let modules: [LinearModule] = [.query, .output, .gate, .down]

    /// The fixture's ranges, by module.
    private static func ranges(
        _ fixture: LlamaFixture,
        _ configuration: ModelConfiguration
    ) throws -> InputRanges {
        let values = try numbers(fixture, "ranges")
        var amax: [String: Float] = [:]
        for layer in 0..<2 {
            for (index, module) in modules.enumerated() {
                for member in configuration.modules(sharingInputOf: module) {
                    amax[member.name(layer: layer)] = values[layer * 4 + index]
                }
            }
        }
        return InputRanges(amax: amax)
    }

    private static func fixture() throws -> (
        parameters: Parameters, tokens: [Int32], clips: LlamaFixture
    ) {
        let llama = try LlamaFixture()
        return (
            try llama.parameters("distilled.weights", tied: false),
            try llama.tokens("distilled.tokens"), try LlamaFixture("clips")
        )
    }

    /// Against `Fixtures/make_clip_fixtures.py`: loss, gradients of all weights and of the thresholds.
    @Test(arguments: [false, true])
    func lossAndGradientsEqualPyTorch(checkpointsActivations: Bool) throws {
        let (parameters, tokens, clips) = try Self.fixture()
        let engine = try Self.engine(
            parameters,
            .learned,
            regularization: 0.05,
            checkpointsActivations: checkpointsActivations
        )
        try engine.clipInputs(at: try Self.ranges(clips, parameters.configuration))
        let losses = try Self.numbers(clips, "losses")
        let loss = try engine.step(tokens: tokens, learningRate: 0, progress: 0).loss
        #expect(abs(loss - Double(losses[0])) < 2e-5)
        var expected = try clips.vector("gradients")
        for entry in parameters.layout.entries {
            let found = try #require(engine.gradient(ofParameter: entry.name))
            let wanted = expected.prefix(entry.count)
            expected = expected.dropFirst(entry.count)
            #expect(relativeError(found, wanted) < 2e-3, "\(entry.name)")
        }
        let thresholds = try Self.numbers(clips, "thresholds")
        let found = engine.clipGradients
        for layer in 0..<2 {
            for (index, module) in Self.modules.enumerated() {
                let name = module.name(layer: layer)
                let gradient = try #require(found[name])
                #expect(abs(gradient - Double(thresholds[layer * 4 + index])) < 2e-3, "\(name)")
            }
        }
    }

    /// Three steps of PyTorch's AdamW on the thresholds alone.
    @Test func thresholdsAreTrainedAsPyTorchTrainsThem() throws {
        let (parameters, tokens, clips) = try Self.fixture()
        let engine = try Self.engine(parameters, .learned, regularization: 0.05)
        let ranges = try Self.ranges(clips, parameters.configuration)
        try engine.clipInputs(at: ranges)
        for expected in try Self.numbers(clips, "losses") {
            let result = try engine.step(
                tokens: tokens,
                learningRate: 0,
                progress: 0,
                clipLearningRate: 0.02
            )
            #expect(abs(result.loss - Double(expected)) < 2e-3)
        }
        let updated = try Self.numbers(clips, "updated")
        let found = try #require(engine.inputRanges)
        for layer in 0..<2 {
            for (index, module) in Self.modules.enumerated() {
                let name = module.name(layer: layer)
                let share = try #require(found.amax[name]) / (try #require(ranges.amax[name]))
                #expect(abs(share - updated[layer * 4 + index]) < 2e-3, "\(name)")
            }
        }
        let value = LinearModule.value.name(layer: 1)
        #expect(found.amax[value] == found.amax[LinearModule.query.name(layer: 1)])
    }

    /// Ranges are those of the inputs that the recipe's own model brings.
    @Test func calibratedRangesAreTheInputs() throws {
        let (parameters, tokens, clips) = try Self.fixture()
        let device = CPUDevice(team: ThreadTeam(threadCount: 2))
        let found = try InputRanges.measure(
            parameters,
            recipe: QuantizationRecipe(defaultFormat: .mxfp4, activations: .fp8PerTensor),
            on: CalibrationWindows(texts: [tokens], length: 12, limit: 8, seed: 1),
            device: device
        )
        #expect(found.amax.count == 14)
        let seen = try Self.numbers(clips, "seen")
        for layer in 0..<2 {
            for (index, module) in Self.modules.enumerated() {
                let amax = try #require(found.amax[module.name(layer: layer)])
                // PyTorch's inputs are not rounded on the way there.
                #expect(abs(amax / seen[layer * 4 + index] - 1) < 0.05, "\(module) \(layer)")
            }
        }
        // What the recipe leaves alone has none.
        let some = try InputRanges.measure(
            parameters,
            recipe: QuantizationRecipe(
                defaultFormat: nil,
                rules: [.init(pattern: "*layers.1.mlp*", format: .nvfp4)],
                activations: .nvfp4
            ),
            on: CalibrationWindows(texts: [tokens], length: 12, limit: 8, seed: 1),
            device: device
        )
        #expect(Set(some.amax.keys.map { $0.hasPrefix("model.layers.1.mlp.") }) == [true])
        #expect(some.amax.count == 3)
    }

    /// What is trained is what an evaluation of an export computes, whose scales are those of the ranges.
    @Test(arguments: [QuantizationFormat.nvfp4, .fp8PerTensor])
    func lossIsThatOfAnEvaluation(format: QuantizationFormat) throws {
        let (parameters, tokens, clips) = try Self.fixture()
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4, activations: format)
        let ranges = try Self.ranges(clips, parameters.configuration)
        let device = CPUDevice(team: ThreadTeam(threadCount: 1))
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: recipe,
            activations: ActivationQuantization(recipe, of: parameters.configuration)
                .with(inputs: ranges),
            length: 12,
            device: device
        )
        let expected = try evaluator.evaluate(tokens: tokens, windows: 2).meanLoss
        for threads in [1, 3] {
            let engine = try Self.engine(parameters, .calibrated, recipe: recipe, threads: threads)
            let plain = try engine.step(tokens: tokens, learningRate: 0, progress: 0).loss
            try engine.clipInputs(at: ranges)
            let found = try engine.step(tokens: tokens, learningRate: 0, progress: 0).loss
            #expect(abs(found - expected) < 1e-6)
            #expect(abs(plain - expected) > 1e-4)
            #expect(engine.inputRanges == ranges)
        }
    }

    /// A scale per tensor lets nothing through that is larger than its threshold: that is the clip.
    @Test(arguments: [
        QuantizationFormat.nvfp4, QuantizationFormat(element: .e4m3, scaleKind: .e4m3TwoLevel),
        .fp8PerTensor, QuantizationFormat(element: .int8, scaleKind: .perTensor),
    ])
    func scalesClipAtTheirThreshold(format: QuantizationFormat) {
        let device = CPUDevice(team: ThreadTeam(threadCount: 1))
        let tensor = device.tensor(rows: 2, columns: 32)
        let values = (0..<64).map { Float($0 - 32) / 4 }
        device.upload(values, to: tensor)
        let scale = format.floatScale(amax: 3)
        device.fakeQuantize(tensor, Rounding(format, scale: .fixed(scale)), into: tensor)
        var rounded = [Float](repeating: 0, count: 64)
        device.download(tensor, into: &rounded)
        for (value, found) in zip(values, rounded) where abs(value) >= 3 {
            #expect(abs(found - (value < 0 ? -3 : 3)) < 1e-5, "\(value)")
        }
        #expect(rounded.allSatisfy { abs($0) < 3.00001 })
    }

    /// Micro-batches add up, and a resumed run repeats an uninterrupted one to the bit.
    @Test(arguments: [false, true])
    func resumedRunRepeatsTheUninterruptedOne(copiesHost: Bool) throws {
        let (_, tokens, clips) = try Self.fixture()
        func engine(copiesHost: Bool = false) throws -> TrainingEngine {
            let parameters = try Self.fixture().parameters
            let engine = try Self.engine(
                parameters,
                .learned,
                regularization: 1e-3,
                accumulation: 2,
                copiesHost: copiesHost
            )
            try engine.clipInputs(at: try Self.ranges(clips, parameters.configuration))
            return engine
        }
        func run(_ engine: TrainingEngine, to end: Int) throws {
            while engine.stepCount < end {
                let step = Int32(engine.stepCount)
                _ = try engine.step(
                    tokens: (tokens + tokens.reversed()).map { ($0 + step) % 64 },
                    learningRate: 1e-3,
                    progress: 0,
                    clipLearningRate: 0.01
                )
            }
        }
        let whole = try engine()
        try run(whole, to: 6)
        let first = try engine(copiesHost: copiesHost)
        try run(first, to: 3)
        let second = try engine(copiesHost: copiesHost)
        MomentRuns.restore(second, from: first)
        try run(second, to: 6)
        #expect(second.inputRanges == whole.inputRanges)
        #expect(
            MomentRuns.weights(second.parameters) == MomentRuns.weights(whole.parameters)
        )
        #expect(whole.state.map(\.name).filter { $0.hasSuffix("clips") }.count == 3)
    }

    @Test func rangesThatMissAPlaceAreRefused() throws {
        let engine = try Self.engine(try Self.fixture().parameters, .calibrated)
        #expect(throws: TransformerError.self) {
            try engine.clipInputs(at: InputRanges(amax: [:]))
        }
        let name = LinearModule.query.name(layer: 0)
        #expect(throws: TransformerError.self) {
            try engine.clipInputs(at: InputRanges(amax: [name: .infinity]))
        }
        #expect(engine.inputRanges == nil)
    }
}
