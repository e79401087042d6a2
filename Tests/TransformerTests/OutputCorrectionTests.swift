internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Biases that are trained against what rounding does to the outputs of linear layers.
struct OutputCorrectionTests {
    private static let recipe = QuantizationRecipe(defaultFormat: .mxfp4)

    private static func corrected(_ parameters: Parameters) throws -> Parameters {
        var configuration = parameters.configuration
        configuration.architecture.biasedModules = Set(LinearModule.allCases)
        return try parameters.copy(as: configuration)
    }

    private static func engine(
        _ parameters: Parameters,
        teacher: Parameters,
        isFrozen: (String) -> Bool = { !$0.hasSuffix(".bias") }
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: parameters,
            teacher: teacher,
            settings: .init(
                recipe: recipe,
                objective: .distillation(Distillation()),
                batchSize: 2,
                length: 16
            ),
            isFrozen: isFrozen,
            device: CPUDevice(team: ThreadTeam(threadCount: 2))
        )
    }

    private static func tokens(_ step: Int) -> [Int32] {
        (0..<32).map { Int32(($0 * $0 * 7 + step * 11 + $0) % 53) }
    }

    private static func model() throws -> Parameters {
        try Parameters.random(configuration: tinyConfiguration(), seed: 3, deviation: 0.3)
    }

    /// The divergence from the unquantized model on text that was not trained on.
    private static func divergence(_ parameters: Parameters, _ teacher: Parameters) throws -> Double
    {
        let engine = try engine(try parameters.copy(), teacher: teacher)
        return try (1000..<1016).reduce(0) {
            $0 + (try engine.step(tokens: tokens($1), learningRate: 0, progress: 0).loss) / 16
        }
    }

    /// Zeros that were not there before change nothing, to the bit.
    @Test func biasesBeginAtNothing() throws {
        let model = try Self.model()
        let corrected = try Self.corrected(model)
        let added = 2 * (32 + 16 + 16 + 32 + 64 + 64 + 32)
        #expect(corrected.layout.totalCount == model.layout.totalCount + added)
        let plain = try Self.engine(try model.copy(), teacher: model) { _ in false }
        let losses = try [plain, Self.engine(corrected, teacher: model) { _ in false }].map {
            try $0.step(tokens: Self.tokens(0), learningRate: 0, progress: 0).loss
        }
        #expect(losses[0] == losses[1] && losses[0] > 0)
    }

    /// Biases alone, on codes that stay as rounding left them, win back a part.
    @Test func biasesAloneWinBack() throws {
        let model = try Self.model()
        let engine = try Self.engine(try Self.corrected(model), teacher: model)
        for step in 0..<240 {
            let rate = 1e-2 * (1 - Double(step) / 240)
            _ = try engine.step(tokens: Self.tokens(step), learningRate: rate, progress: 0)
        }
        let rounded = try Self.divergence(model, model)
        let trained = try Self.divergence(engine.trained, model)
        #expect(trained < 0.9 * rounded, "\(rounded), trained \(trained)")
        for entry in model.layout.entries {
            let kept = try engine.parameters.elements(named: entry.name)
            #expect(kept.elementsEqual(model.elements(of: entry)), "\(entry.name)")
        }
    }

    @Test func parametersOfAnotherShapeAreNotTaken() throws {
        let model = try Self.model()
        let error = #expect(throws: TransformerError.self) {
            try model.take(try Self.corrected(model))
        }
        #expect(error?.message.contains("q_proj.bias") == true)
    }
}
