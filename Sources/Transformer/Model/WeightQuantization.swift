public import Formats
public import Kernels
public import Quantization

/// How a recipe rounds one weight of a model, as it is now.
public struct WeightQuantization {
    /// The parameter.
    public let entry: ParameterLayout.Entry
    /// What it is rounded to.
    public let format: QuantizationFormat
    private let parameters: Parameters
    private let scales: Scales
    private let team: ThreadTeam

    private enum Scales {
        /// From the weight's values, or of a scale per tensor from this magnitude.
        case found(amax: Float?)
        case fixed(BlockScales)
    }

    fileprivate init(
        _ entry: ParameterLayout.Entry,
        _ format: QuantizationFormat,
        of parameters: Parameters,
        amax: Float?,
        team: ThreadTeam
    ) {
        self.entry = entry
        self.format = format
        self.parameters = parameters
        self.team = team
        scales = parameters.fixedScales[entry.name].map(Scales.fixed) ?? .found(amax: amax)
    }

    /// Writes what the weight is rounded to, row-major, `entry.count` elements; may be the weight
    /// itself.
    public func fakeQuantize(into output: UnsafeMutablePointer<Float>) {
        let source = parameters.storage.pointer + entry.offset
        switch scales {
        case .found(let amax):
            BlockQuantizer.fakeQuantize(
                source,
                into: output,
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                amax: amax,
                team: team
            )
        case .fixed(let scales):
            scales.withBytes { bytes in
                BlockQuantizer.fakeQuantize(
                    source,
                    into: output,
                    rows: entry.rows,
                    columns: entry.columns,
                    format: format,
                    scales: bytes,
                    team: team
                )
            }
        }
    }

    /// What is stored of it.
    ///
    /// - Throws: `QuantizationError` of values that are not finite.
    public func quantize() throws -> PackedTensor {
        let values = UnsafeBufferPointer(parameters.elements(of: entry))
        switch scales {
        case .found(let amax):
            return try BlockQuantizer.quantize(
                values,
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                amax: amax,
                team: team
            )
        case .fixed(let scales):
            return try BlockQuantizer.quantize(
                values,
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                scales: scales,
                team: team
            )
        }
    }
}

extension Parameters {
    /// How a recipe rounds every weight that it quantizes at `progress`, in the layout's order.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`): also of fixed scales that are none of a weight's
    ///   format.
    public func quantizations(
        by recipe: QuantizationRecipe,
        progress: Double = 1,
        team: ThreadTeam
    ) throws -> [WeightQuantization] {
        let entries = try quantizedEntries(of: recipe, progress: progress)
        let amaxes = sharedAmaxes(entries, team: team)
        return entries.map { entry, format in
            WeightQuantization(entry, format, of: self, amax: amaxes[entry.name], team: team)
        }
    }

    /// The parameters that a recipe quantizes at `progress`, with their formats.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`): also of fixed scales that are none of a weight's
    ///   format.
    public func quantizedEntries(
        of recipe: QuantizationRecipe,
        progress: Double
    ) throws -> [(ParameterLayout.Entry, QuantizationFormat)] {
        let entries = try layout.assignments(of: recipe, progress: progress)
            .compactMap { assignment in assignment.format.map { (assignment.entry, $0) } }
        for (entry, format) in entries {
            guard let scales = fixedScales[entry.name],
                !scales.fits(format, rows: entry.rows, columns: entry.columns)
            else { continue }
            throw TransformerError(
                .invalidRecipe,
                "\(entry.name) has fixed scales, and they are none of \(format.name)"
            )
        }
        return entries
    }

    /// Fixes the scales of linear modules that a recipe's final stage quantizes and that have none fixed,
    /// as rounding to nearest after training finds them without calibration text.
    ///
    /// - Returns: How many weights' scales were found.
    /// - Throws: ``TransformerError`` (`invalidRecipe`), `QuantizationError` of values that are not finite.
    public func findScales(
        by search: ScaleSearch,
        recipe: QuantizationRecipe,
        team: ThreadTeam
    ) throws -> Int {
        let entries = try quantizedEntries(of: recipe, progress: 1)
            .filter { fixedScales[$0.0.name] == nil && layout.module(of: $0.0) != nil }
        let amaxes = sharedAmaxes(entries, team: team)
        let room = AlignedBuffer<Float>(count: entries.map(\.0.count).max() ?? 0)
        for (entry, format) in entries {
            room.pointer.update(from: storage.pointer + entry.offset, count: entry.count)
            let packed = try WeightRounding.round(
                UnsafeMutableBufferPointer(start: room.pointer, count: entry.count),
                columns: entry.columns,
                format: format,
                search: search,
                amax: amaxes[entry.name],
                team: team
            )
            fixedScales[entry.name] = BlockScales(packed)
        }
        return entries.count
    }
}
