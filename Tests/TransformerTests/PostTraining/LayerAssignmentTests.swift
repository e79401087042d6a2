internal import Formats
internal import Testing

@testable internal import Transformer

struct LayerAssignmentTests {
    private let layout = ParameterLayout(configuration: .smolLM2With135MParameters)

    @Test func namesEveryMatrixAndTheRuleThatDecides() throws {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [
                .init(pattern: "*self_attn*", format: .mxfp6E2M3),
                .init(pattern: "re:.*layers\\.(0|29)\\..*", format: nil),
            ]
        )
        let assignments = try layout.assignments(of: recipe)
        #expect(assignments.count == 211)
        let byModule = Dictionary(uniqueKeysWithValues: assignments.map { ($0.module, $0) })
        let attention = byModule["model.layers.3.self_attn.k_proj"]
        #expect(attention?.format == .mxfp6E2M3)
        #expect(attention?.origin == "layers[0] \"*self_attn*\"")
        #expect(byModule["model.layers.0.mlp.up_proj"]?.format == nil)
        #expect(byModule["model.layers.5.mlp.up_proj"]?.origin == "the default")
        #expect(byModule["model.embed_tokens"]?.format == nil)
    }

    @Test func denyAllThenAllow() throws {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [
                .init(pattern: "*", format: nil), .init(pattern: "*mlp*", format: .nvfp4),
                .init(pattern: "model.embed_tokens", format: .init(element: .e4m3, blockSize: 8)),
            ]
        )
        let quantized = try layout.assignments(of: recipe).filter { $0.format != nil }
        #expect(quantized.count == 91)
        #expect(quantized[0].module == "model.embed_tokens")
    }

    @Test func fusedModulesMustAgree() {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [
                .init(pattern: "*mlp*", format: .mxfp8),
                .init(pattern: "*v_proj", format: .mxfp8),
            ]
        )
        let error = #expect(throws: TransformerError.self) {
            try layout.assignments(of: recipe)
        }
        #expect(error?.code == .invalidRecipe)
        for part in [
            "model.layers.0.self_attn.q_proj is mxfp4 by 32 by the default",
            "model.layers.0.self_attn.v_proj is mxfp8 by 32 by layers[1] \"*v_proj\"",
        ] {
            #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
        }
    }

    @Test func blocksMustDivide() {
        let recipe = QuantizationRecipe(
            defaultFormat: .init(element: .e2m1, blockSize: 20)
        )
        let error = #expect(throws: TransformerError.self) {
            try layout.assignments(of: recipe)
        }
        #expect(error?.message.contains("576 columns do not divide into blocks of 20") == true)
        #expect(error?.message.contains("by the default") == true)
    }

    @Test func everyEntryKnowsItsModule() {
        for layer in [0, 29] {
            for module in LinearModule.allCases {
                let entry = layout.entry(of: module, layer: layer)
                #expect(entry.name == module.name(layer: layer) + ".weight")
                let found = layout.module(of: entry)
                #expect(found?.0 == module && found?.layer == layer)
            }
        }
        let others = layout.entries.filter { layout.module(of: $0) == nil }
        #expect(others.count == 2 + 2 * 30)
    }
}
