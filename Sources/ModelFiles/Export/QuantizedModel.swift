public import Formats
public import Kernels
public import Quantization
internal import Transformer

/// A model in memory with what is stored of its quantized weights.
public struct QuantizedModel: Sendable {
    /// The model; its quantized parameters hold exactly what the stored ones dequantize to.
    public let model: LoadedModel
    /// What is stored, by parameter name.
    public let stored: [String: PackedTensor]

    /// A model whose parameters were rounded to `stored` already.
    public init(model: LoadedModel, stored: [String: PackedTensor]) {
        self.model = model
        self.stored = stored
    }

    /// Rounds a model to nearest, in place, by a recipe's final formats: what training simulated.
    ///
    /// - Throws: `TransformerError`, `QuantizationError`.
    public init(
        rounding model: LoadedModel,
        recipe: QuantizationRecipe,
        team: ThreadTeam
    ) throws {
        var stored: [String: PackedTensor] = [:]
        // All at once: scales that modules share are found before one of them is rounded.
        for weight in try model.parameters.quantizations(by: recipe, team: team) {
            let packed = try weight.quantize()
            let values = model.parameters.elements(of: weight.entry)
            try BlockQuantizer.dequantize(packed, into: values, team: team)
            stored[weight.entry.name] = packed
        }
        self.init(model: model, stored: stored)
    }

    /// What a writer has to know beforehand.
    public var description: ExportDescription {
        ExportDescription(
            configuration: model.configuration,
            source: model.files,
            tokenizer: model.tokenizer,
            formats: Dictionary(
                uniqueKeysWithValues: stored.map {
                    (String($0.key.dropLast(".weight".count)), $0.value.format)
                }
            )
        )
    }

    /// Gives all weights to a writer.
    ///
    /// - Throws: ``ModelFileError``.
    public func write(to writer: any ModelWriter) throws -> ModelWriterSummary {
        for entry in model.parameters.layout.entries {
            try writer.write(
                entry,
                values: UnsafeBufferPointer(model.parameters.elements(of: entry)),
                packed: stored[entry.name]
            )
        }
        return try writer.finish()
    }
}
