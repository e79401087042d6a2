internal import Formats
internal import Testing

/// One list of forms of export, and what goes by formats beside it.
struct ExportLayoutTests {
    @Test func plainFP32OnlyStandsInForOthers() {
        #expect(
            ExportLayout.offered.map(\.rawValue) == [
                "compressed-tensors", "gguf", "modelopt", "quark", "bf16",
            ]
        )
    }

    /// BF16 has seven bits after the point and the exponents of FP32: an FP32 scale does not fit.
    @Test(arguments: [
        ([QuantizationFormat.mxfp4, .mxint8], ExportLayout.bf16), ([], .bf16),
        ([.mxfp4, .nvfp4], .f32), ([.fp8PerChannel], .f32),
    ])
    func theExactFormHoldsEveryValue(formats: [QuantizationFormat], layout: ExportLayout) {
        #expect(ExportLayout.exact(for: formats) == layout)
    }

    @Test func blocksAreNamedWhereThereAreSome() {
        var eight = QuantizationFormat.mxfp4
        eight.blockSize = 8
        #expect(eight.nameWithBlock == "mxfp4 by 8")
        #expect(QuantizationFormat.fp8PerTensor.nameWithBlock == "fp8_per_tensor")
    }

    @Test func rulesAndTablesOfTokensGoBeforeAChoice() {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [.init(pattern: "*mlp*", format: nil)]
        )
        #expect(recipe.mayChoose(forModule: "model.layers.0.self_attn.q_proj"))
        #expect(!recipe.mayChoose(forModule: "model.layers.0.mlp.up_proj"))
        #expect(!recipe.mayChoose(forModule: "lm_head"))
        #expect(!recipe.mayChoose(forModule: "model.embed_tokens"))
    }
}
