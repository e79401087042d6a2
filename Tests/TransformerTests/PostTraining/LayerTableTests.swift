internal import Formats
internal import Testing

@testable internal import Transformer

struct LayerTableTests {
    private let configuration = ModelConfiguration.smolLM2With135MParameters

    private let recipe = QuantizationRecipe(
        defaultFormat: .mxfp4,
        rules: [
            .init(pattern: "*self_attn*", format: .mxfp6E2M3),
            .init(pattern: "*embed_tokens", format: .mxfp8),
        ],
        stages: [
            .init(until: 0.3, format: .mxfp8), .init(until: 0.7, format: .mxfp6E2M3),
            .init(until: 1, format: .mxfp4),
        ]
    )

    /// Attention fp8, fp6, fp6; MLP fp8, fp6, fp4; the embedding fp8 throughout.
    @Test func everyLayerInEveryStage() throws {
        let table = try LayerTable(configuration, recipe: recipe)
        for row in table.rows {
            let expected: [QuantizationFormat?] =
                if row.module.contains("self_attn") {
                    [.mxfp8, .mxfp6E2M3, .mxfp6E2M3]
                } else if row.module.contains("mlp") {
                    [.mxfp8, .mxfp6E2M3, .mxfp4]
                } else {
                    [.mxfp8, .mxfp8, .mxfp8]
                }
            #expect(row.stageFormats == expected, "\(row.module)")
            #expect(row.format == expected[2]?.name)
        }
        // 80 M weights of feed-forward layers, 28 M of the embedding, 26 M of attention.
        #expect(
            table.stages == [
                .init(progress: 0..<0.3, precision: "mxfp8"),
                .init(progress: 0.3..<0.7, precision: "mxfp6_e2m3, mxfp8"),
                .init(progress: 0.7..<1, precision: "mxfp4, mxfp8, mxfp6_e2m3"),
            ]
        )
        #expect(table.precision(at: 0) == "mxfp8" && table.precision(at: 0.3).hasPrefix("mxfp6"))
        #expect(table.precision(at: 1) == "mxfp4, mxfp8, mxfp6_e2m3")
        #expect(table.idleRules.isEmpty)
    }

    @Test func aRunWithoutStagesIsOne() throws {
        let table = try LayerTable(configuration, recipe: .none)
        #expect(table.stages == [.init(progress: 0..<1, precision: "none")])
        #expect(table.rows.allSatisfy { $0.stageFormats == [nil] })
    }

    @Test func namesTheRulesThatDecideNothing() throws {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [
                .init(pattern: "*mlp*", format: .mxfp8), .init(pattern: "*experts*", format: nil),
                .init(pattern: "*mlp*", format: .mxfp6E2M3),
            ]
        )
        let idle = try LayerTable(configuration, recipe: recipe).idleRules
        #expect(idle == [.init(index: 0, isOverruled: true), .init(index: 1, isOverruled: false)])
        #expect(idle[1].description == "layers[1].pattern: names no weight matrix of the model")
        let layout = ParameterLayout(configuration: configuration)
        #expect(layout.idlePatterns(["*embed_tokens*", "*lm_head*", "model.norm"]) == [1, 2])
    }
}
