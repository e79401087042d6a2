internal import ComputeKit
internal import Kernels
internal import ModelFiles
internal import Quantization
internal import Transformer

/// Rounds a model weight by weight, from its file to the exports, so that one weight is in memory at
/// a time.
struct StreamedQuantization {
    let recipe: QuantizationRecipe
    let method: PostTrainingMethod
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
        let formats = Dictionary(
            uniqueKeysWithValues: assignments.compactMap { assignment in
                assignment.format.map { (assignment.module, $0) }
            }
        )
        let export = try begin(
            ExportDescription(
                configuration: source.configuration,
                tokenizer: try source.tokenizer(),
                tokenizerJSON: source.tokenizerJSON,
                chatTemplate: source.chatTemplate,
                formats: formats,
                activations: recipe.activations
            )
        )
        let largest = layout.entries.map(\.count).max() ?? 0
        let values = AlignedBuffer<Float>(count: largest)
        let quantized = layout.entries.filter { formats[$0.module] != nil }
        let original = AlignedBuffer<Float>(count: quantized.map(\.count).max() ?? 0)
        var layers: [LayerReport] = []
        for entry in layout.entries {
            let room = UnsafeMutableBufferPointer(start: values.pointer, count: entry.count)
            let format = formats[entry.module]
            let amax = try format.flatMap {
                try sharedAmax(entry, $0, layout, source, values)
            }
            try source.read(entry, into: room, team: team)
            var packed: PackedTensor?
            if let format {
                original.pointer.update(from: values.pointer, count: entry.count)
                let stored = try round(room, entry, format, amax: amax)
                let statistics = QuantizationStatistics(
                    values: original.pointer,
                    quantized: values.pointer,
                    packed: stored,
                    team: team
                )
                layers.append(LayerReport(entry, format, statistics))
                try progress.report("quantize", layers.count, of: quantized.count)
                packed = stored
            }
            try export.write(entry, values: UnsafeBufferPointer(room), packed: packed)
        }
        return QuantizationOutcome(layers: layers, export: try export.finish())
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
            rows: entry.rows,
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
        for member in LinearModule.allCases where member.inputGroup == module.inputGroup {
            let other = layout.entry(of: member, layer: layer)
            let room = UnsafeMutableBufferPointer(start: values.pointer, count: other.count)
            try source.read(other, into: room, team: team)
            let found = BlockQuantizer.amax(values.pointer, count: other.count, team: team)
            amax = found.isNaN || found > amax ? found : amax
        }
        return amax
    }
}
