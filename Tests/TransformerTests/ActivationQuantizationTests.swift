internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Transformer

/// E4M3 by its definition (OCP OFP8, table 1): every value of the 8 bits, in Double.
private enum E4M3 {
    /// Magnitudes in order: 2⁻⁹ · m below 2⁻⁶, else (1 + m / 8) · 2^(e − 7), m of 8; 448 is the last.
    static let magnitudes: [Double] = (0..<127).map { code in
        let (exponent, mantissa) = (code >> 3, Double(code & 7))
        let power = Double(sign: .plus, exponent: exponent - 7, significand: 1)
        return exponent == 0 ? mantissa * 0x1p-9 : (1 + mantissa / 8) * power
    }

    /// The nearest value of `x / scale`, ties to the even code, times the scale.
    static func rounded(_ x: Float, scale: Float) -> Double {
        // Servers divide in FP32.
        let ratio = Double(abs(x) / scale)
        let best = magnitudes.indices.min { a, b in
            let (da, db) = (abs(magnitudes[a] - ratio), abs(magnitudes[b] - ratio))
            return da == db ? a % 2 < b % 2 : da < db
        }
        return (x < 0 ? -1 : 1) * magnitudes[best ?? 0] * Double(scale)
    }
}

struct ActivationQuantizationTests {
    private static let layer0 = "model.layers.0.self_attn."

    private static func parameters(seed: UInt64 = 12) throws -> Parameters {
        try Parameters.random(configuration: tinyConfiguration(), seed: seed, deviation: 0.3)
    }

    /// One pass over one token, at position 0, where rotation changes nothing.
    private static func pass(
        _ parameters: Parameters,
        _ activations: ActivationQuantization
    ) throws -> DecoderPass {
        let team = ThreadTeam(threadCount: 2)
        let weights = try LayerWeights(
            parameters: parameters,
            recipe: .none,
            activations: activations,
            device: CPUDevice(team: team)
        )
        return DecoderPass(window: 1, weights: weights)
    }

    /// Queries, keys and values of layer 0, and the input that they are made of.
    private static func firstLayer(
        _ parameters: Parameters,
        _ activations: ActivationQuantization
    ) throws -> (input: [Float], query: [Float], key: [Float], value: [Float]) {
        let pass = try pass(parameters, activations)
        var found: (input: [Float], query: [Float], key: [Float], value: [Float])?
        _ = pass.forward([7], rows: 1) { layer, _ in
            guard layer == 0 else { return true }
            let slot = pass.layer(0)
            found = (
                slot.attentionInput.values, slot.query.values, slot.key.values,
                slot.value.values
            )
            return false
        }
        return try #require(found)
    }

    // A scale that cuts off the largest inputs, and one under which all fit.
    @Test(arguments: [Float(0.002), 0.01])
    func staticScaleRoundsInputsAsServersDo(scale: Float) throws {
        let parameters = try Self.parameters()
        var activations = ActivationQuantization()
        activations.inputs[Self.layer0 + "q_proj"] = .init(format: .fp8PerTensor, scale: scale)
        let found = try Self.firstLayer(parameters, activations)
        let plain = try Self.firstLayer(parameters, .none)
        #expect(found.input == plain.input && found.key == plain.key)
        #expect(found.value == plain.value)
        let weight = try parameters.elements(named: Self.layer0 + "q_proj.weight")
        let rounded = found.input.map { E4M3.rounded($0, scale: scale) }
        #expect((rounded.map { abs($0) }.max() ?? 0 == 448 * Double(scale)) == (scale == 0.002))
        for row in 0..<32 {
            let terms = (0..<32).map { Double(weight[row * 32 + $0]) * rounded[$0] }
            let expected = terms.reduce(0, +)
            // FP32 sums of 32 terms: 32 roundings of at most half a unit in the last place.
            let tolerance = terms.reduce(0) { $0 + abs($1) } * 32 * 0x1p-24
            #expect(abs(Double(found.query[row]) - expected) <= tolerance, "row \(row)")
        }
    }

    @Test func keysAndValuesAreRoundedUnderTheirScales() throws {
        let parameters = try Self.parameters()
        let plain = try Self.firstLayer(parameters, .none)
        let cached = ActivationQuantization(keyScales: [0.003, 1], valueScales: [0.02, 1])
        let found = try Self.firstLayer(parameters, cached)
        #expect(found.query == plain.query)
        for (values, raw, scale) in [
            (found.key, plain.key, Float(0.003)), (found.value, plain.value, 0.02),
        ] {
            #expect(values == raw.map { Float(E4M3.rounded($0, scale: scale)) })
            #expect(values != raw)
        }
    }

    @Test func modulesOfAGroupMayDiffer() throws {
        let parameters = try Self.parameters()
        func activations(_ names: [String]) -> ActivationQuantization {
            var activations = ActivationQuantization()
            for name in names {
                activations.inputs[Self.layer0 + name] = .init(format: .mxfp4)
            }
            return activations
        }
        let plain = try Self.firstLayer(parameters, .none)
        let all = try Self.firstLayer(parameters, activations(["q_proj", "k_proj", "v_proj"]))
        #expect(all.query != plain.query && all.key != plain.key && all.value != plain.value)
        let outer = try Self.firstLayer(parameters, activations(["q_proj", "v_proj"]))
        #expect(outer.query == all.query && outer.key == plain.key && outer.value == all.value)
        let inner = try Self.firstLayer(parameters, activations(["k_proj"]))
        #expect(inner.query == plain.query && inner.key == all.key && inner.value == plain.value)
    }

    @Test func recipesRoundTheInputsOfQuantizedModulesOnly() throws {
        var recipe = QuantizationRecipe(defaultFormat: .mxfp4, activations: .mxfp8)
        recipe.rules = [.init(pattern: "*down_proj", format: nil)]
        let activations = ActivationQuantization(recipe, of: tinyConfiguration())
        #expect(activations.inputs.count == 12)
        #expect(!activations.inputs.keys.contains { $0.hasSuffix("down_proj") })
        #expect(activations.inputFormatName == "mxfp8" && activations.cacheFormat == .none)
        #expect(ActivationQuantization.none.inputFormatName == "none")
    }

    @Test func evaluationByARecipeEqualsThatByItsActivations() throws {
        let parameters = try Self.parameters()
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4, activations: .mxfp4)
        let tokens = (0..<64).map { Int32(($0 * 11) % 53) }
        func evaluate(
            _ parameters: Parameters,
            _ recipe: QuantizationRecipe,
            _ activations: ActivationQuantization?
        ) throws -> PerplexityResult {
            try PerplexityEvaluator(
                parameters: parameters,
                recipe: recipe,
                activations: activations,
                length: 16,
                device: CPUDevice(team: ThreadTeam(threadCount: 2))
            ).evaluate(tokens: tokens, windows: 4)
        }
        let rounded = try parameters.copy()
        try rounded.fakeQuantize(by: recipe, team: ThreadTeam(threadCount: 1))
        let simulated = try evaluate(parameters, recipe, nil)
        let activations = ActivationQuantization(recipe, of: parameters.configuration)
        #expect(try evaluate(rounded, .none, activations) == simulated)
        #expect(try evaluate(rounded, .none, ActivationQuantization.none) != simulated)
    }

    @Test(arguments: [1, 3, 128])
    func generationRoundsAsAWholePassDoes(chunk: Int) throws {
        let parameters = try Self.parameters(seed: 8)
        let configuration = parameters.configuration
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4, activations: .mxfp4)
        var activations = ActivationQuantization(recipe, of: configuration)
        activations.keyScales = [0.01, 0.02]
        activations.valueScales = [0.02, 0.01]
        let team = ThreadTeam(threadCount: 2)
        let generator = try Generator(
            parameters: parameters,
            activations: activations,
            capacity: 24,
            chunk: chunk,
            device: CPUDevice(team: team)
        )
        var tokens: [Int32] = [3, 14, 15, 9, 26]
        try generator.append(tokens)
        let weights = try LayerWeights(
            parameters: parameters,
            recipe: .none,
            activations: activations,
            device: CPUDevice(team: team)
        )
        for _ in 0..<6 {
            let next = generator.sample(SamplingOptions())
            let pass = DecoderPass(window: tokens.count, weights: weights)
            pass.forward(tokens)
            let logits = pass.device.logits(
                hidden: pass.finalNorm.rows(tokens.count - 1..<tokens.count),
                head: weights.effectiveHead()
            )
            #expect(next == Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0))
            tokens.append(next)
            try generator.append([next])
        }
    }

    @Test func refusesWhatDoesNotFitTheModel() throws {
        let parameters = try Self.parameters()
        var wide = QuantizationFormat.mxfp4
        wide.blockSize = 48
        for (activations, part) in [
            (
                ActivationQuantization(inputs: ["model.layers.2.mlp.up_proj": .init(format: .mxfp4)]
                ),
                "model.layers.2.mlp.up_proj"
            ),
            (
                ActivationQuantization(inputs: [Self.layer0 + "q_proj": .init(format: wide)]),
                "blocks of 48"
            ),
            (ActivationQuantization(keyScales: [1, 1], valueScales: [1]), "2 scales of keys"),
            (
                ActivationQuantization(keyScales: [1, 0], valueScales: [1, 1]), "no positive number"
            ),
        ] {
            let error = #expect(throws: TransformerError.self) {
                _ = try Self.pass(parameters, activations)
            }
            #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
        }
    }
}

/// A NaN or an infinity ends the work and names the module where it appears first.
struct NonFiniteTests {
    private static let tokens = (0..<32).map { Int32(($0 * 11) % 53) }

    /// Random parameters, of which one element is replaced.
    private static func parameters(_ name: String, _ value: Float) throws -> Parameters {
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 12,
            deviation: 0.3
        )
        // Of the embedding, a row that is in the text: 11.
        let isEmbedding = name.contains("embed")
        try parameters.elements(named: name)[isEmbedding ? 11 * 32 : 5] = value
        return parameters
    }

    @Test(
        arguments: [
            ("model.embed_tokens.weight", Float.nan, "model.embed_tokens,"),
            ("model.layers.0.input_layernorm.weight", .nan, "model.layers.0.input_layernorm,"),
            ("model.layers.1.self_attn.k_proj.weight", .infinity, "layers.1.self_attn.k_proj,"),
            ("model.layers.1.self_attn.o_proj.weight", -.infinity, "layers.1.self_attn.o_proj,"),
            ("model.layers.0.mlp.down_proj.weight", .nan, "model.layers.0.mlp,"),
            ("model.norm.weight", .nan, "model.norm,"),
        ]
    )
    func theFirstModuleIsNamed(parameter: String, value: Float, place: String) throws {
        let parameters = try Self.parameters(parameter, value)
        let team = ThreadTeam(threadCount: 2)
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: 8,
            device: CPUDevice(team: team)
        )
        var error = #expect(throws: TransformerError.self) {
            try evaluator.evaluate(tokens: Self.tokens, windows: 4)
        }
        #expect(error?.code == .nonFinite)
        #expect(error?.message.contains(place) == true, "\(error?.message ?? "")")
        let generator = try Generator(
            parameters: parameters,
            capacity: 32,
            chunk: 3,
            device: CPUDevice(team: team)
        )
        error = #expect(throws: TransformerError.self) { try generator.append(Self.tokens) }
        #expect(error?.code == .nonFinite)
        #expect(error?.message.contains(place) == true, "\(error?.message ?? "")")
        let original = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 12,
            deviation: 0.3
        )
        let divergence = try LogitDivergence(
            original: original,
            tokens: Self.tokens,
            length: 8,
            device: CPUDevice(team: team)
        )
        error = #expect(throws: TransformerError.self) { try divergence.measure(parameters) }
        #expect(error?.message.contains(place) == true, "\(error?.message ?? "")")
    }

    @Test func anOverflowOfFiniteWeightsIsNamed() throws {
        let parameters = try Self.parameters("model.layers.0.mlp.up_proj.weight", 0)
        let weight = try parameters.elements(named: "model.layers.1.mlp.up_proj.weight")
        weight.update(repeating: 3e38)
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: 8,
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        let error = #expect(throws: TransformerError.self) {
            try evaluator.evaluate(tokens: Self.tokens, windows: 4)
        }
        #expect(error?.message.contains("window 1 of 4") == true)
        #expect(error?.message.contains("model.layers.1.mlp,") == true)
    }

    /// Where a norm stands behind a projection, the one of the two that overflows is named.
    @Test(arguments: [
        (Architecture.NormPlacement.before, "self_attn.q_norm", "self_attn.q_norm"),
        (.before, "self_attn.k_norm", "self_attn.k_norm"),
        (.before, "self_attn.k_proj", "self_attn.k_proj"),
        (.before, "input_layernorm", "input_layernorm"),
        (.before, "post_attention_layernorm", "post_attention_layernorm"),
        (.beforeAndAfter, "self_attn.o_proj", "self_attn.o_proj"),
        (.beforeAndAfter, "post_attention_layernorm", "post_attention_layernorm"),
        (.beforeAndAfter, "pre_feedforward_layernorm", "pre_feedforward_layernorm"),
        (.beforeAndAfter, "post_feedforward_layernorm", "post_feedforward_layernorm"),
        (.beforeAndAfter, "mlp.down_proj", "mlp"), (.after, "self_attn.v_proj", "self_attn.v_proj"),
        (.after, "post_feedforward_layernorm", "post_feedforward_layernorm"),
    ])
    func overflowsOfNormsAreNamed(
        placement: Architecture.NormPlacement,
        module: String,
        place: String
    ) throws {
        var configuration = tinyConfiguration()
        configuration.architecture.normPlacement = placement
        configuration.architecture.queryKeyNorm = .perHead
        let parameters = try Parameters.random(
            configuration: configuration,
            seed: 12,
            deviation: 0.3
        )
        try parameters.elements(named: "model.layers.1.\(module).weight")
            .update(repeating: 3e38)
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: 8,
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        let error = #expect(throws: TransformerError.self) {
            try evaluator.evaluate(tokens: Self.tokens, windows: 4)
        }
        #expect(
            error?.message.contains("first appears in model.layers.1.\(place),") == true,
            "\(error?.message ?? "")"
        )
    }

    @Test func trainingSaysWhereItDiverged() throws {
        let engine = try tinyEngine(tinyConfiguration())
        try engine.parameters.elements(named: "model.layers.1.post_attention_layernorm.weight")[3] =
            .nan
        let batch = (0..<engine.windowsPerStep * 16).map { Int32($0 % 53) }
        let error = #expect(throws: TransformerError.self) {
            try engine.step(tokens: batch, learningRate: 1e-3, progress: 0)
        }
        #expect(error?.code == .diverged)
        #expect(
            error?.message.contains("first appears in model.layers.1.post_attention_layernorm")
                == true
        )
    }
}
