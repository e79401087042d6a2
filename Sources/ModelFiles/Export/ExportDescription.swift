public import Formats
internal import Quantization
public import Transformer

/// What a writer has to know of a model before its first weight.
public struct ExportDescription: Sendable {
    /// The model's shape.
    public var configuration: ModelConfiguration
    /// The tokenizer.
    public var tokenizer: Tokenizer
    /// The tokenizer.json it came with, to be passed on as it is; nil to write one.
    public var tokenizerJSON: [UInt8]?
    /// The chat template, if any.
    public var chatTemplate: String?
    /// The generation_config.json it came with; nil to write one of the tokens alone.
    public var generationJSON: [UInt8]?
    /// Formats of the quantized weights, by module name.
    public var formats: [String: QuantizationFormat]
    /// The format in which servers shall quantize the inputs of quantized modules; nil for none.
    public var activations: QuantizationFormat?
    /// Largest magnitudes of inputs, by module name; empty where nothing was calibrated.
    public var inputAmax: [String: Float] = [:]
    /// Largest magnitudes of keys and values by layer, for FP8 scales of the cache; empty for none.
    public var keyAmax: [Float] = []
    /// See ``keyAmax``.
    public var valueAmax: [Float] = []
    /// What the file should say of its making, beside the formats: the method, say.
    public var metadata: [String: String] = [:]
    /// Bytes after which a new file of weights begins.
    public var shardByteCount = 5_000_000_000

    /// A description of a model whose weights named in `formats` are quantized.
    public init(
        configuration: ModelConfiguration,
        tokenizer: Tokenizer,
        tokenizerJSON: [UInt8]?,
        chatTemplate: String?,
        formats: [String: QuantizationFormat],
        activations: QuantizationFormat? = nil
    ) {
        self.configuration = configuration
        self.tokenizer = tokenizer
        self.tokenizerJSON = tokenizerJSON
        self.chatTemplate = chatTemplate
        self.formats = formats
        self.activations = activations
    }

    /// What the file says of its making: ``metadata``, and `qat.formats` with all rounding rules.
    var fileMetadata: [String: String] {
        guard !formats.isEmpty else { return metadata }
        let rules = Set(formats.values).map { format in
            """
            {"name":"\(format.name)","element":"\(format.element.rawValue)",\
            "scale":"\(format.scaleKind.rawValue)","block_size":\(format.blockSize),\
            "scale_mode":"\(format.scaleMode.rawValue)","tie_rule":"\(format.tieRule.rawValue)"}
            """
        }
        let list = "[" + rules.sorted().joined(separator: ",") + "]"
        return metadata.merging(["qat.formats": list]) { own, _ in own }
    }

    /// The modules as the files name them; nil where each parameter stands by itself.
    var storedModules: [StoredModule]?

    /// All modules as the files name them, in the order of the parameters.
    var modules: [StoredModule] {
        storedModules
            ?? StoredModule.modules(of: ParameterLayout(configuration: configuration))
    }

    /// The quantized modules as the files name them, by name.
    var quantizedModules: [(module: StoredModule, format: QuantizationFormat)] {
        modules.compactMap { module in format(of: module).map { (module, $0) } }
            .sorted { $0.module.name < $1.module.name }
    }

    /// The linear modules of the decoder that stay as they are, and the head, in the layout's order.
    var ignoredModules: [String] {
        var ignored = formats["lm_head"] == nil ? ["lm_head"] : []
        for module in modules where module.isMatrix {
            let isEmbedding = module.name == "model.embed_tokens" || module.name == "lm_head"
            if !isEmbedding, format(of: module) == nil { ignored.append(module.name) }
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
        // NVFP4: 6 · 448.
        return amax > 0 ? amax / (format.element == .e2m1 ? 2688 : 448) : 1
    }

    /// The scale under which E4M3 holds `amax`; of zero, 1.
    static func fp8Scale(_ amax: Float) -> Float { amax > 0 ? amax / 448 : 1 }
}
