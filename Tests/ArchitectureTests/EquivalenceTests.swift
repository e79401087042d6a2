internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Float32 sums in another order, relative to losses around 10.
private let tolerance = 2e-5

/// What is done before rounding leaves every architecture computing the same, or is refused.
struct EquivalenceTests {
    // One each: a team runs one thing at a time, tests run side by side.
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    private static func loss(
        _ parameters: Parameters,
        _ expected: ArchitectureFixture.Expected
    ) throws -> Double {
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: expected.tokens[0].count,
            device: CPUDevice(team: team)
        )
        return try evaluator.evaluate(
            tokens: expected.tokens.flatMap { $0 },
            windows: expected.tokens.count
        ).meanLoss
    }

    private static func windows(
        _ expected: ArchitectureFixture.Expected
    ) throws -> CalibrationWindows {
        try CalibrationWindows(
            texts: expected.tokens,
            length: expected.tokens[0].count,
            limit: 2,
            seed: 1
        )
    }

    @Test(arguments: ArchitectureFixture.all)
    func rotationKeepsTheModelOrIsRefused(fixture: ArchitectureFixture) throws {
        let expected = try fixture.expected()
        let parameters = try fixture.parameters()
        // By the papers: a rotation passes RMSNorm on inputs only (Ashkboos et al. 2024, section 3).
        let isPossible = !["gemma2", "gemma3", "olmo2", "nemotron"]
            .contains { fixture.name.hasPrefix($0) }
        guard isPossible else {
            let error = #expect(throws: TransformerError.self) {
                try BlockRotation.rotated(parameters)
            }
            #expect(error?.message.contains("rotation") == true)
            return
        }
        let rotated = try BlockRotation.rotated(parameters)
        let loss = try Self.loss(rotated, expected)
        #expect(abs(loss - expected.loss) <= tolerance * expected.loss)
    }

    @Test(arguments: ArchitectureFixture.all)
    func smoothingKeepsTheModel(fixture: ArchitectureFixture) throws {
        let expected = try fixture.expected()
        let parameters = try fixture.parameters()
        let configuration = parameters.configuration
        let windows = try Self.windows(expected)
        let pass = try LayerwisePass(
            parameters: parameters,
            windows: windows,
            device: CPUDevice(team: Self.team)
        )
        var folded = 0
        for layer in 0..<configuration.layerCount {
            let inputs = try pass.observe(layer: layer)
            let smoothing = ChannelSmoothing(
                parameters: parameters,
                layer: layer,
                team: Self.team
            )
            for group in configuration.inputGroups where smoothing.isPossible(group) {
                let inputs = try #require(inputs[group])
                let scales = smoothing.smoothQuantScales(group, inputs: inputs, migration: 0.5)
                #expect((scales.max() ?? 1) > 1.01)
                smoothing.fold(scales, into: group, inputs: inputs)
                folded += 1
            }
            try pass.advance(layer: layer)
        }
        // All four groups, but those whose inputs no norm or product scales.
        let perLayer =
            fixture.name.hasPrefix("olmo2") ? 2 : 4
        #expect(folded == perLayer * configuration.layerCount)
        let loss = try Self.loss(parameters, expected)
        #expect(abs(loss - expected.loss) <= tolerance * expected.loss)
    }

    /// Every method runs on every architecture and rounds all linear modules, and the model's next tokens
    /// stay closer to the original's than rounding to nearest leaves them.
    @Test(arguments: ArchitectureFixture.all)
    func everyMethodRounds(fixture: ArchitectureFixture) throws {
        let expected = try fixture.expected()
        let method = PostTrainingMethod(rounding: .gptq(GPTQ()), smoothing: .activationAware)
        let parameters = try fixture.parameters()
        let unquantized = ["*embed_tokens", "lm_head"].map {
            QuantizationRecipe.Rule(pattern: ModulePattern($0), format: nil)
        }
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4, rules: unquantized)
        var rounded = 0
        let quantizer = PostTrainingQuantizer(recipe: recipe, method: method, team: Self.team)
        _ = try quantizer.quantize(parameters, calibration: try Self.windows(expected)) { _, _ in
            rounded += 1
        }
        let configuration = parameters.configuration
        #expect(rounded == configuration.layerCount * configuration.linearModules.count)
        let divergence = try LogitDivergence(
            original: try fixture.parameters(),
            tokens: expected.tokens.flatMap { $0 },
            length: expected.tokens[0].count,
            device: CPUDevice(team: Self.team)
        )
        let nearest = try fixture.parameters()
        try nearest.fakeQuantize(by: recipe, team: Self.team)
        let bound = try divergence.measure(nearest).klDivergence
        let found = try divergence.measure(parameters).klDivergence
        #expect(found > 0 && found < bound, "\(found), rounding to nearest \(bound)")
    }
}
