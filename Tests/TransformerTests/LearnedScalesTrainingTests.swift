internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// Training with block scales that are learned.
struct LearnedScalesTrainingTests {
    private static let tokens: [Int32] = (0..<32).map { Int32(($0 * 7 + $0 / 5) % 16) }
    private static let team = ThreadTeam(threadCount: 1)

    private static func recipe(_ format: QuantizationFormat) -> QuantizationRecipe {
        var format = format
        format.blockSize = 16
        return QuantizationRecipe(defaultFormat: format)
    }

    private static func engine(
        _ recipe: QuantizationRecipe,
        threads: Int = 2,
        copiesHost: Bool = false,
        isFrozen: @escaping (String) -> Bool = { _ in false }
    ) throws -> TrainingEngine {
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 9,
            deviation: 0.1
        )
        _ = try parameters.findScales(by: .max, recipe: recipe, team: team)
        return try TrainingEngine(
            parameters: parameters,
            teacher: nil,
            settings: .init(recipe: recipe, batchSize: 2, length: 16, learnsScales: true),
            isFrozen: isFrozen,
            device: RecordingDevice(
                CPUDevice(team: ThreadTeam(threadCount: threads)),
                copiesHost: copiesHost
            )
        )
    }

    private static func step(
        _ engine: TrainingEngine,
        rate: Double = 1e-3,
        scaleRate: Double = 1e-3
    ) throws -> Double {
        try engine.step(
            tokens: tokens,
            learningRate: rate,
            progress: 0,
            scaleLearningRate: scaleRate
        ).loss
    }

    /// A copy of an engine's weights; the engine outlives the reading.
    private static func elements(of engine: TrainingEngine) -> [Float] {
        withExtendedLifetime(engine) { Array(engine.parameters.storage.elements) }
    }

    /// By the definition, from the gradient of the rounded weight.
    @Test(arguments: [QuantizationFormat.mxfp4, .nvfp4])
    func gradientIsThatOfTheDefinition(format: QuantizationFormat) throws {
        let recipe = Self.recipe(format)
        let engine = try Self.engine(recipe)
        let before = try engine.parameters.copy()
        _ = try Self.step(engine)
        let name = "model.layers.1.mlp.down_proj.weight"
        let entry = try #require(before.layout[name])
        let weights = Array(before.elements(of: entry))
        let found = try #require(engine.scaleGradient(ofParameter: name))
        let gradient = try #require(engine.gradient(ofParameter: name))
        let scales = try #require(before.fixedScales[name])
        var format = format
        format.blockSize = 16
        let steps = scales.steps(format)
        #expect(found.count == steps.count && steps.count == weights.count / 16)
        let grid: [Double] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
        for (block, step) in steps.enumerated() {
            var sum = 0.0
            for index in block * 16..<(block + 1) * 16 {
                let x = Double(weights[index]) / Double(step)
                let nearest = grid.min { abs($0 - abs(x)) < abs($1 - abs(x)) } ?? 0
                let slope = abs(x) >= 6 ? 6 : nearest - abs(x)
                sum += Double(gradient[index]) * (x < 0 ? -slope : slope)
            }
            let expected = sum / (16.0 * 6).squareRoot()
            #expect(abs(Double(found[block]) - expected) < 1e-6, "block \(block)")
        }
    }

    /// Each step's loss is that of the model under the scales that would be exported, and those move.
    @Test(arguments: [QuantizationFormat.mxfp4, .nvfp4], [false, true])
    func trainingRoundsUnderWhatIsExported(format: QuantizationFormat, copiesHost: Bool) throws {
        let recipe = Self.recipe(format)
        let engine = try Self.engine(recipe, copiesHost: copiesHost)
        let before = engine.parameters.fixedScales
        for step in 0..<4 {
            let stored = try engine.parameters.copy()
            for weight in try stored.quantizations(by: recipe, team: Self.team) {
                try BlockQuantizer.dequantize(
                    try weight.quantize(),
                    into: stored.elements(of: weight.entry),
                    team: Self.team
                )
            }
            stored.fixedScales = [:]
            let plain = try TrainingEngine(
                parameters: stored,
                teacher: nil,
                settings: .init(recipe: .none, batchSize: 2, length: 16),
                isFrozen: { _ in false },
                device: CPUDevice(team: ThreadTeam(threadCount: 2))
            )
            let expected = try plain.step(tokens: Self.tokens, learningRate: 0, progress: 0).loss
            #expect(try Self.step(engine, scaleRate: 4e-3) == expected, "step \(step)")
        }
        let after = engine.parameters.fixedScales
        #expect(after.keys == before.keys && after != before)
        #expect(after.values.map(\.factors) == after.keys.map { before[$0]?.factors ?? [] })
    }

    /// Scales alone lower the loss, and the same bits come of any number of threads.
    @Test(arguments: [QuantizationFormat.mxfp4, .nvfp4])
    func scalesAloneLearn(format: QuantizationFormat) throws {
        let recipe = Self.recipe(format)
        let engines = try [1, 3].map { try Self.engine(recipe, threads: $0) }
        let values = Self.elements(of: engines[0])
        let first = try engines.map { try Self.step($0, rate: 0, scaleRate: 1e-3) }
        var last = first
        for _ in 0..<40 {
            last = try engines.map { try Self.step($0, rate: 0, scaleRate: 1e-3) }
        }
        #expect(last[0] < first[0] - 0.01, "\(first[0]) \(last[0])")
        #expect(first[0] == first[1] && last[0] == last[1])
        #expect(engines[0].parameters.fixedScales == engines[1].parameters.fixedScales)
        #expect(Self.elements(of: engines[0]) == values)
    }

    /// A weight that takes no gradient has none for its scales.
    @Test func scalesOfFrozenWeightsStay() throws {
        let engine = try Self.engine(Self.recipe(.nvfp4), isFrozen: { $0.contains("mlp") })
        let before = engine.parameters.fixedScales
        for _ in 0..<3 { _ = try Self.step(engine, scaleRate: 1e-2) }
        let moved = engine.parameters.fixedScales.filter { $0.value != before[$0.key] }.map(\.key)
        #expect(!moved.isEmpty && moved.allSatisfy { $0.contains("self_attn") }, "\(moved)")
    }
}
