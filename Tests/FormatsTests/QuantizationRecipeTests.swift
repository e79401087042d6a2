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
}
