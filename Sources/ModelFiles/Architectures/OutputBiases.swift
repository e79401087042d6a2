public import Formats
public import Transformer

/// Biases that a family's checkpoints have a place for although a model comes without them.
public enum OutputBiases {
    /// Modules whose biases one key of config.json puts there, all or none.
    private static let groups: [[LinearModule]] = [
        [.query, .key, .value, .output], [.gate, .up, .down],
    ]

    /// The same model with a bias on the output of every linear module that a recipe quantizes, as far as the
    /// family's config.json can say so; `attention_bias` and `mlp_bias` do, where it has them.
    ///
    /// Modules of one key go together, quantized or not. Nil where none has a place; the model itself where
    /// those alone have one that have a bias already.
    public static func added(
        to model: ModelConfiguration,
        recipe: QuantizationRecipe
    ) -> ModelConfiguration? {
        guard let family = ModelFamilies.named(model.architecture.family) else { return nil }
        let wanted = groups.filter { group in
            group.contains { module in
                (0..<model.layerCount).contains { layer in
                    recipe.format(forModule: module.name(layer: layer), progress: 1) != nil
                }
            }
        }
        // What all keys together can say, then each alone.
        for groups in [wanted] + wanted.map({ [$0] }) where !groups.isEmpty {
            var biased = model
            biased.architecture.biasedModules.formUnion(
                groups.joined().filter(model.linearModules.contains)
            )
            if (try? family.keys(of: biased)) != nil { return biased }
        }
        return model.architecture.biasedModules.isEmpty ? nil : model
    }
}
