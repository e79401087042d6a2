internal import Formats
internal import Testing

@Suite struct QuantizationRecipeTests {
    private let layer = "model.layers.0.self_attn.q_proj"

    @Test func lastMatchingRuleWins() {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [
                .init(pattern: "*self_attn*", format: .mxfp6E2M3),
                .init(pattern: "*q_proj", format: nil),
                .init(pattern: "re:model\\.layers\\.1\\..*", format: .mxfp8),
            ]
        )
        #expect(recipe.format(forModule: layer, progress: 0) == nil)
        #expect(
            recipe.format(forModule: "model.layers.0.self_attn.k_proj", progress: 0) == .mxfp6E2M3
        )
        #expect(recipe.format(forModule: "model.layers.1.self_attn.q_proj", progress: 0) == .mxfp8)
        #expect(recipe.format(forModule: "model.layers.0.mlp.up_proj", progress: 0) == .mxfp4)
    }

    /// Each turn is a recipe for its format alone, with what else the recipe says.
    @Test func turnsAreRecipesOfOneFormat() {
        let single = QuantizationRecipe(defaultFormat: .mxfp4)
        #expect(single.turns == [single])
        let rules = [QuantizationRecipe.Rule(pattern: "*q_proj", format: nil)]
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp8,
            rules: rules,
            activations: .mxfp8,
            alternation: [.mxfp8, .mxfp4]
        )
        #expect(
            recipe.turns
                == [QuantizationFormat.mxfp8, .mxfp4].map {
                    QuantizationRecipe(defaultFormat: $0, rules: rules, activations: .mxfp8)
                }
        )
        #expect(recipe.formats == [.mxfp8, .mxfp4])
        #expect(recipe.format(forModule: layer, progress: 0) == nil)
    }

    @Test func embeddingAndHeadNeedARule() {
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4)
        #expect(recipe.format(forModule: "model.embed_tokens", progress: 0) == nil)
        #expect(recipe.format(forModule: "lm_head", progress: 0) == nil)
        let named = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [.init(pattern: "*embed_tokens", format: .mxfp8)]
        )
        #expect(named.format(forModule: "model.embed_tokens", progress: 0) == .mxfp8)
    }

    @Test(arguments: [
        (0.0, QuantizationFormat.mxfp8), (0.299, .mxfp8), (0.3, .mxfp6E2M3), (0.699, .mxfp6E2M3),
        (0.7, .mxfp4), (1.0, .mxfp4), (2.0, .mxfp4),
    ])
    func stagesFollowProgress(progress: Double, format: QuantizationFormat) {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            stages: [
                .init(until: 0.3, format: .mxfp8), .init(until: 0.7, format: .mxfp6E2M3),
                .init(until: 1, format: .mxfp4),
            ]
        )
        #expect(recipe.format(forModule: layer, progress: progress) == format)
    }

    private static let progressive = QuantizationRecipe(
        defaultFormat: .mxfp4,
        rules: [
            .init(pattern: "*self_attn*", format: .mxfp6E2M3),
            .init(pattern: "*embed_tokens", format: .mxfp8),
            .init(pattern: "*layers.1.mlp*", format: nil),
        ],
        stages: [
            .init(until: 0.3, format: .mxfp8), .init(until: 0.7, format: .mxfp6E2M3),
            .init(until: 1, format: .mxfp4),
        ]
    )

    @Test(
        arguments: [
            ("model.layers.0.self_attn.q_proj", [.mxfp8, .mxfp6E2M3, .mxfp6E2M3]),
            ("model.layers.0.mlp.up_proj", [.mxfp8, .mxfp6E2M3, .mxfp4]),
            ("model.embed_tokens", [.mxfp8, .mxfp8, .mxfp8]),
            ("model.layers.1.mlp.up_proj", [nil, nil, nil]),
            ("lm_head", [nil, nil, nil]),
        ] as [(String, [QuantizationFormat?])]
    )
    func aRuleNamesWhereALayerEnds(module: String, formats: [QuantizationFormat?]) {
        let recipe = Self.progressive
        #expect([0, 0.3, 0.7].map { recipe.format(forModule: module, progress: $0) } == formats)
        #expect(recipe.format(forModule: module, progress: 1) == formats[2])
        #expect(recipe.stretches == [0..<0.3, 0.3..<0.7, 0.7..<1])
    }

    @Test func theRuleHoldsInTheLastStageEvenIfTheStageIsMorePrecise() {
        var recipe = Self.progressive
        recipe.stages = [.init(until: 0.5, format: .mxfp8), .init(until: 1, format: .mxfp8)]
        #expect(recipe.format(forModule: layer, progress: 0.4) == .mxfp8)
        #expect(recipe.format(forModule: layer, progress: 0.6) == .mxfp6E2M3)
        recipe.stages = []
        #expect(recipe.format(forModule: layer, progress: 0) == .mxfp6E2M3)
        #expect(recipe.stretches == [0..<1])
    }
}
