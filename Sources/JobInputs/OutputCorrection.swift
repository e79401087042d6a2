internal import Formats
public import JobSpecs
internal import ModelFiles
public import Transformer

extension TrainSpec {
    /// The shape of what is trained: the model's, and biases where output correction puts some.
    ///
    /// The model's own where the job asks for none, or its checkpoints have no place for any.
    public func student(of model: ModelConfiguration) -> ModelConfiguration {
        guard quantization.correctsOutputs else { return model }
        return OutputBiases.added(to: model, recipe: quantization.recipe) ?? model
    }
}

extension InputCheck {
    /// Checks that what is to be corrected has a place for it, and that something of it is trained.
    mutating func correction(_ spec: TrainSpec, _ model: ModelConfiguration) {
        let recipe = spec.quantization.recipe
        guard spec.quantization.correctsOutputs, !recipe.formats.isEmpty else { return }
        let path = "$.quantization.output_correction"
        guard let student = OutputBiases.added(to: model, recipe: recipe) else {
            problem(
                path,
                """
                the checkpoints of \(model.architecture.family) models have no place for biases of linear \
                layers; leave it out
                """
            )
            return
        }
        let isTrained = ParameterLayout(configuration: student).entries.contains { entry in
            entry.name.hasSuffix("_proj.bias") && !spec.frozen.contains { $0.matches(entry.name) }
        }
        guard isTrained else {
            problem(path, "$.frozen names all of the biases, so that nothing would be corrected")
            return
        }
        guard student == model else { return }
        let own = model.linearModules.filter(model.architecture.biasedModules.contains)
        remark(
            path,
            """
            has no effect: the biases that the model has (\(own.map(\.suffix).joined(separator: ", "))) are \
            trained anyway, and its checkpoints have no place for others
            """
        )
    }
}
