internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// Weights whose scales were found before training.
struct FixedScalesTests {
    private static let tokens: [Int32] = (0..<32).map { Int32(($0 * 7 + $0 / 5) % 16) }
    // Shared: of one thread, tests may use it at a time.
    private static let team = ThreadTeam(threadCount: 1)

    /// Parameters whose linear modules have scales that are not those their values ask for.
    private static func parameters(_ recipe: QuantizationRecipe) throws -> Parameters {
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 3,
            deviation: 0.1
        )
        let larger = try parameters.copy()
        for index in 0..<larger.storage.count { larger.storage.pointer[index] *= 1.3 }
        for weight in try larger.quantizations(by: recipe, team: team) {
            parameters.fixedScales[weight.entry.name] = BlockScales(try weight.quantize())
        }
        return parameters
    }

    private static func engine(
        _ parameters: Parameters,
        _ recipe: QuantizationRecipe,
        copiesHost: Bool = false
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: parameters,
            teacher: nil,
            settings: .init(recipe: recipe, batchSize: 2, length: 16),
            isFrozen: { _ in false },
            device: RecordingDevice(
                CPUDevice(team: ThreadTeam(threadCount: 2)),
                copiesHost: copiesHost
            )
        )
    }

    /// The loss is that of a model rounded under these scales, on the way and in what is exported.
    @Test(arguments: ["mxfp4", "nvfp4", "fp8_per_channel", "fp8_per_tensor"], [false, true])
    func trainingRoundsUnderThem(format: String, copiesHost: Bool) throws {
        let recipe = QuantizationRecipe(
            defaultFormat: try #require(QuantizationFormat(algorithm: format)).by(16)
        )
        let parameters = try Self.parameters(recipe)
        let engine = try Self.engine(try parameters.copy(), recipe, copiesHost: copiesHost)
        for step in 0..<2 {
            let rounded = try engine.parameters.copy()
            try rounded.fakeQuantize(by: recipe, team: Self.team)
            rounded.fixedScales = [:]
            let found = try engine.step(tokens: Self.tokens, learningRate: 1e-2, progress: 0)
            let expected = try Self.engine(rounded, .none)
                .step(tokens: Self.tokens, learningRate: 0, progress: 0)
            #expect(found.loss == expected.loss, "step \(step)")
        }
        #expect(engine.parameters.fixedScales == parameters.fixedScales)
        for weight in try engine.parameters.quantizations(by: recipe, team: Self.team) {
            let stored = BlockScales(try weight.quantize())
            #expect(stored == parameters.fixedScales[weight.entry.name], "\(weight.entry.name)")
        }
    }

    /// Scales found before training are those of rounding after it by the same method.
    @Test(arguments: ["mxfp4", "nvfp4", "fp8_per_channel"], [ScaleSearch.max, .mse, .sweep])
    func foundScalesAreThoseOfRoundingAfterwards(format: String, search: ScaleSearch) throws {
        let recipe = QuantizationRecipe(
            defaultFormat: try #require(QuantizationFormat(algorithm: format)).by(16)
        )
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 4,
            deviation: 0.1
        )
        let values = Array(parameters.storage.elements)
        let count = try parameters.findScales(by: search, recipe: recipe, team: Self.team)
        #expect(Array(parameters.storage.elements) == values)
        #expect(count == parameters.fixedScales.count && count > 0)
        let rounded = try parameters.copy()
        rounded.fixedScales = [:]
        let method = PostTrainingMethod(rounding: .nearest(search))
        _ = try PostTrainingQuantizer(recipe: recipe, method: method, team: Self.team)
            .quantize(rounded, calibration: nil) { result, _ in
                let found = parameters.fixedScales[result.entry.name]
                #expect(found == BlockScales(result.packed), "\(result.entry.name)")
            }
        try parameters.fakeQuantize(by: recipe, team: Self.team)
        #expect(Array(parameters.storage.elements) == Array(rounded.storage.elements))
        // Those that are there stay.
        #expect(try parameters.findScales(by: .max, recipe: recipe, team: Self.team) == 0)
    }

    @Test func scalesOfAnotherFormatAreRefused() throws {
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4.by(16))
        let parameters = try Self.parameters(recipe)
        let other = QuantizationRecipe(defaultFormat: .mxfp4.by(8))
        let error = #expect(throws: TransformerError.self) {
            _ = try Self.engine(parameters, other)
        }
        #expect(error?.code == .invalidRecipe)
    }
}

extension QuantizationFormat {
    fileprivate func by(_ blockSize: Int) -> QuantizationFormat {
        guard scaleKind.hasBlocks else { return self }
        var format = self
        format.blockSize = blockSize
        return format
    }
}
