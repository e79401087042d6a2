internal import ComputeKit
internal import Formats
internal import Kernels
internal import ModelFiles
internal import Quantization
internal import Transformer

/// Rounds a model weight by weight, from its file to the exports, so that one weight is in memory at
/// a time.
struct StreamedQuantization {
    let recipe: QuantizationRecipe
    let method: PostTrainingMethod
    /// Whether an export has to understand the tokenizer.
    let needsTokenizer: Bool
    let progress: LayerProgress
    let team: ThreadTeam

    /// Rounds and exports.
    ///
    /// `begin`: Begins the exports.
    func quantize(
        _ source: any ModelSource,
        begin: (ExportDescription) throws -> ModelExport
    ) throws -> QuantizationOutcome {
        let layout = ParameterLayout(configuration: source.configuration)
        let assignments = try layout.assignments(of: recipe)
        // By parameter: a module's bias stays as it is.
        let formats = Dictionary(
            uniqueKeysWithValues: assignments.compactMap { assignment in
                assignment.format.map { (assignment.entry.name, $0) }
            }
        )
        let export = try begin(
            ExportDescription(
                configuration: source.configuration,
                source: source.files,
                tokenizer: needsTokenizer ? try source.tokenizer() : nil,
                formats: Dictionary(
                    uniqueKeysWithValues: assignments.compactMap { assignment in
                        assignment.format.map { (assignment.module, $0) }
                    }
                ),
                activations: recipe.activations
            )
        )
        let room = Room(layout, formats)
        var layers: [LayerReport] = []
        for entry in layout.entries {
            guard let format = formats[entry.name] else {
                try copy(entry, layout, from: source, to: export, room)
                continue
            }
            let (packed, statistics) = try round(entry, format, layout, source, room)
            layers.append(LayerReport(entry, format, statistics))
            try progress.report("quantize", layers.count, of: formats.count)
            try export.write(
                entry,
                values: UnsafeBufferPointer(start: room.values.pointer, count: entry.count),
                packed: packed
            )
        }
        return QuantizationOutcome(layers: layers, export: try export.finish())
    }

    /// Memory for one weight that is rounded, and for what it was.
    private struct Room {
        let values: AlignedBuffer<Float>
        let original: AlignedBuffer<Float>

        /// Elements of a piece of what is only copied.
        static let piece = 1 << 20

        init(_ layout: ParameterLayout, _ formats: [String: QuantizationFormat]) {
            let rounded = layout.entries.filter { formats[$0.name] != nil }
            let whole = layout.entries.filter { layout.module(of: $0) != nil }
            let largest = (rounded + whole).map(\.count).max() ?? 0
            values = AlignedBuffer(count: max(largest, Self.piece))
            original = AlignedBuffer(count: rounded.map(\.count).max() ?? 0)
        }
    }

    /// Copies a weight that is left alone: the embedding and the head by pieces.
    private func copy(
        _ entry: ParameterLayout.Entry,
        _ layout: ParameterLayout,
        from source: any ModelSource,
        to export: ModelExport,
        _ room: Room
    ) throws {
        let isWhole = layout.module(of: entry) != nil
        let step = isWhole ? entry.rows : max(Room.piece / entry.columns, 1)
        for first in stride(from: 0, to: entry.rows, by: step) {
            let rows = first..<min(first + step, entry.rows)
            // A row may be longer than a piece.
            let own = rows.count * entry.columns > room.values.count
            let buffer = own ? AlignedBuffer<Float>(count: rows.count * entry.columns) : room.values
            let values = UnsafeMutableBufferPointer(
                start: buffer.pointer,
                count: rows.count * entry.columns
            )
            try source.readFinite(entry, rows: rows, into: values, team: team)
            if isWhole {
                try export.write(entry, values: UnsafeBufferPointer(values), packed: nil)
            } else {
                try export.write(entry, rows: rows, values: UnsafeBufferPointer(values))
            }
        }
    }

    /// Reads and rounds a weight in the room's values.
    private func round(
        _ entry: ParameterLayout.Entry,
        _ format: QuantizationFormat,
        _ layout: ParameterLayout,
        _ source: any ModelSource,
        _ room: Room
    ) throws -> (PackedTensor, QuantizationStatistics) {
        let amax = try sharedAmax(entry, format, layout, source, room.values)
        let values = UnsafeMutableBufferPointer(start: room.values.pointer, count: entry.count)
        try source.readFinite(entry, into: values, team: team)
        room.original.pointer.update(from: room.values.pointer, count: entry.count)
        let packed = try round(values, entry, format, amax: amax)
        let statistics = QuantizationStatistics(
            values: room.original.pointer,
            quantized: room.values.pointer,
            packed: packed,
            team: team
        )
        return (packed, statistics)
    }

    private func round(
        _ values: UnsafeMutableBufferPointer<Float>,
        _ entry: ParameterLayout.Entry,
        _ format: QuantizationFormat,
        amax: Float?
    ) throws -> PackedTensor {
        guard case .nearest(let search) = method.rounding else {
            throw TransformerError(.invalidRecipe, "gptq needs calibration text")
        }
        return try WeightRounding.round(
            values,
            columns: entry.columns,
            format: format,
            search: search,
            amax: amax,
            team: team
        )
    }

    /// The scale per tensor that a module shares with those that servers fuse with it asks for the
    /// largest magnitude of all of them; nil where there is no such scale.
    private func sharedAmax(
        _ entry: ParameterLayout.Entry,
        _ format: QuantizationFormat,
        _ layout: ParameterLayout,
        _ source: any ModelSource,
        _ values: AlignedBuffer<Float>
    ) throws -> Float? {
        guard format.scaleKind.hasTensorScale,
            let (module, layer) = layout.module(of: entry)
        else { return nil }
        var amax: Float = 0
        for member in source.configuration.modules(sharingInputOf: module) {
            let other = layout.entry(of: member, layer: layer)
            let room = UnsafeMutableBufferPointer(start: values.pointer, count: other.count)
            try source.readFinite(other, into: room, team: team)
            let found = BlockQuantizer.amax(values.pointer, count: other.count, team: team)
            amax = found.isNaN || found > amax ? found : amax
        }
        return amax
    }
}
