internal import Formats
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Where checkpoints of each family have a place for biases of linear layers: the arguments `bias=` of the
/// layers of `transformers/models/*/modeling_*.py`.
@Suite struct OutputBiasesTests {
    private static let attention: Set<LinearModule> = [.query, .key, .value, .output]
    private static let gated: Set<LinearModule> = [.gate, .up, .down]
    private static let recipe = QuantizationRecipe(defaultFormat: .mxfp4)

    @Test(arguments: [
        ("llama", attention.union(gated)), ("smollm3", attention.union(gated)),
        ("granite", attention.union(gated)), ("nemotron", attention.union([.up, .down])),
        ("qwen3", attention), ("olmo2", attention), ("gemma3", attention),
    ])
    func aKeyPutsThemThere(family: String, modules: Set<LinearModule>) throws {
        let model = try FamilySamples.read(family)
        let found = try #require(OutputBiases.added(to: model, recipe: Self.recipe))
        #expect(found.architecture.biasedModules == modules)
        var same = found
        same.architecture.biasedModules = model.architecture.biasedModules
        #expect(same == model)
    }

    /// Qwen 2 has biases of queries, keys and values whatever its keys say, and of nothing else.
    @Test func thoseThatAreThereStay() throws {
        let model = try FamilySamples.read("qwen2")
        #expect(OutputBiases.added(to: model, recipe: Self.recipe) == model)
        let whole = try FamilySamples.read("llama", ["attention_bias": true, "mlp_bias": true])
        #expect(OutputBiases.added(to: whole, recipe: Self.recipe) == whole)
    }

    @Test(arguments: ["mistral", "phi3"])
    func othersHaveNoPlace(family: String) throws {
        let model = try FamilySamples.read(family)
        #expect(OutputBiases.added(to: model, recipe: Self.recipe) == nil)
    }

    /// What is not quantized has no error to correct.
    @Test func onlyWhatIsQuantizedIsCorrected() throws {
        let model = try FamilySamples.read("llama")
        var recipe = Self.recipe
        recipe.rules = [.init(pattern: "*mlp*", format: nil)]
        let found = OutputBiases.added(to: model, recipe: recipe)
        #expect(found?.architecture.biasedModules == Self.attention)
        recipe.rules = [.init(pattern: "*", format: nil)]
        #expect(OutputBiases.added(to: model, recipe: recipe) == nil)
    }
}
