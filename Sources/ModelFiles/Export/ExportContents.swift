internal import Formats
internal import Quantization
internal import Transformer

/// What an export holds: the modules of the files, how they are quantized, and the ranges that were
/// measured.
struct ExportContents {
    /// All modules as the files name them, in the order of the parameters.
    let modules: [StoredModule]
    /// Formats of the quantized weights, by the model's names.
    let formats: [String: QuantizationFormat]
    /// The format in which servers shall quantize the inputs of quantized modules; nil for none.
    let activations: QuantizationFormat?
    /// Largest magnitudes of inputs, by the model's names; empty where nothing was calibrated.
    let inputAmax: [String: Float]
    /// Whether the export must hold scales of inputs by these.
    var clipsInputs = false
    /// Largest magnitudes of keys by layer, for FP8 scales of the cache; empty for none.
    let keyAmax: [Float]
    /// The same of values.
    let valueAmax: [Float]

    /// The quantized modules, by name.
    var quantizedModules: [(module: StoredModule, format: QuantizationFormat)] {
        modules.compactMap { module in format(of: module).map { (module, $0) } }
            .sorted { $0.module.name < $1.module.name }
    }

    /// The linear modules of the decoder that stay as they are, and the head, in the layout's order.
    var ignoredModules: [String] {
        var ignored = formats[ParameterLayout.headModule] == nil ? [ParameterLayout.headModule] : []
        for module in modules where module.isMatrix {
            if module.isInDecoder, format(of: module) == nil { ignored.append(module.name) }
        }
        return ignored
    }

    /// The format of a module's parts; nil if it is not quantized.
    func format(of module: StoredModule) -> QuantizationFormat? {
        module.isMatrix ? formats[module.parts[0].module] : nil
    }

    /// The value of one step of a module's inputs under a format with a scale per tensor, if it is
    /// known.
    func inputScale(_ module: StoredModule, _ format: QuantizationFormat) -> Float? {
        guard format.scaleKind.hasTensorScale,
            let amax = module.parts.compactMap({ inputAmax[$0.module] }).max()
        else { return nil }
        return format.floatScale(amax: amax)
    }
}
