public import Kernels
public import Quantization
internal import Transformer

/// A model with what is stored of its quantized weights.
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
        for (entry, format) in try model.parameters.quantizedEntries(of: recipe, progress: 1) {
            let values = model.parameters.elements(of: entry)
            let packed = try BlockQuantizer.quantize(
                UnsafeBufferPointer(values),
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                team: team
            )
            try BlockQuantizer.dequantize(packed, into: values, team: team)
            stored[entry.name] = packed
        }
        self.init(model: model, stored: stored)
    }

    /// Formats by module name, without `.weight`.
    var formats: [String: QuantizationFormat] {
        Dictionary(
            uniqueKeysWithValues: stored.map { (Self.module(of: $0.key), $0.value.format) }
        )
    }

    static func module(of parameter: String) -> String {
        String(parameter.dropLast(".weight".count))
    }
}
