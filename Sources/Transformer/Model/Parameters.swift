public import Kernels
public import Quantization

/// A model's FP32 parameters in one arena.
///
/// Unsynchronized: one writer at a time.
public final class Parameters: @unchecked Sendable {
    /// The model's shape.
    public let configuration: ModelConfiguration
    /// Names, shapes and offsets.
    public let layout: ParameterLayout
    /// All elements, in the layout's order.
    public let storage: AlignedBuffer<Float>

    /// Zeroed parameters of a configuration.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`).
    public init(configuration: ModelConfiguration) throws {
        try configuration.validate()
        self.configuration = configuration
        layout = ParameterLayout(configuration: configuration)
        storage = AlignedBuffer(count: layout.totalCount)
    }

    /// Parameters drawn from N(0, 0.02²), norms 1: what a fresh model starts from.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`).
    public static func random(
        configuration: ModelConfiguration,
        seed: UInt64,
        deviation: Float = 0.02
    ) throws -> Parameters {
        let parameters = try Parameters(configuration: configuration)
        var generator = SplitMix64(seed: seed)
        for entry in parameters.layout.entries {
            let values = parameters.elements(of: entry)
            for index in 0..<entry.count {
                values[index] = entry.shape.count == 1 ? 1 : generator.normal() * deviation
            }
        }
        return parameters
    }

    /// The elements of one parameter, row-major.
    public func elements(of entry: ParameterLayout.Entry) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: storage.pointer + entry.offset, count: entry.count)
    }

    /// The elements of the parameter of a name.
    ///
    /// - Throws: ``TransformerError`` (`parameterMismatch`) if there is none.
    public func elements(named name: String) throws -> UnsafeMutableBufferPointer<Float> {
        guard let entry = layout[name] else {
            throw TransformerError(.parameterMismatch, "the model has no parameter \(name)")
        }
        return elements(of: entry)
    }

    /// An independent copy.
    public func copy() throws -> Parameters {
        let twin = try Parameters(configuration: configuration)
        twin.storage.pointer.update(from: storage.pointer, count: storage.count)
        return twin
    }

    /// Rounds every weight that the recipe's final stage quantizes, in place.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if a block size does not divide.
    public func fakeQuantize(by recipe: QuantizationRecipe, team: ThreadTeam) throws {
        for (entry, format) in try quantizedEntries(of: recipe, progress: 1) {
            let values = storage.pointer + entry.offset
            BlockQuantizer.fakeQuantize(
                values,
                into: values,
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                team: team
            )
        }
    }

    /// The parameters that a recipe quantizes at `progress`, with their formats.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`).
    public func quantizedEntries(
        of recipe: QuantizationRecipe,
        progress: Double
    ) throws -> [(ParameterLayout.Entry, QuantizationFormat)] {
        try layout.entries.compactMap { entry in
            guard entry.shape.count == 2, entry.name.hasSuffix(".weight") else {
                return nil
            }
            let module = String(entry.name.dropLast(".weight".count))
            guard let format = recipe.format(forModule: module, progress: progress) else {
                return nil
            }
            do {
                try BlockQuantizer.checkShape(
                    rows: entry.rows,
                    columns: entry.columns,
                    format: format
                )
            } catch {
                throw TransformerError(.invalidRecipe, "\(module): \(error)")
            }
            return (entry, format)
        }
    }
}
