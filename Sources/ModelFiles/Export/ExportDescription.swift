public import Formats
internal import Quantization
public import Transformer

/// What a writer has to know of a model before its first weight.
public struct ExportDescription: Sendable {
    /// The model's shape.
    public var configuration: ModelConfiguration
    /// The tokenizer; nil if it is not read, as ``carriedFiles`` hold it.
    public var tokenizer: Tokenizer?
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
    /// Files that a Hugging Face folder gets as they are, by name, instead of ones that are written.
    public var carriedFiles: [String: [UInt8]] = [:]
    /// Bytes after which a new file of weights begins.
    public var shardByteCount = 5_000_000_000

    /// A description of a model whose weights named in `formats` are quantized.
    public init(
        configuration: ModelConfiguration,
        tokenizer: Tokenizer?,
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

    /// What the file says of its making: ``metadata``, and `qat.formats` and `qat.activations` with all
    /// rounding rules.
    var fileMetadata: [String: String] {
        guard !formats.isEmpty else { return metadata }
        let rules = Set(formats.values).map(Self.rules)
        var texts = ["qat.formats": "[" + rules.sorted().joined(separator: ",") + "]"]
        texts[InputScheme.metadataKey] = activations.map(Self.rules)
        return metadata.merging(texts) { own, _ in own }
    }

    /// A format with all rounding rules, as JSON.
    private static func rules(of format: QuantizationFormat) -> String {
        """
        {"name":"\(format.name)","element":"\(format.element.rawValue)",\
        "scale":"\(format.scaleKind.rawValue)","block_size":\(format.blockSize),\
        "scale_mode":"\(format.scaleMode.rawValue)","tie_rule":"\(format.tieRule.rawValue)"}
        """
    }

    /// The modules as the files name them; nil where each parameter stands by itself.
    var storedModules: [StoredModule]?

    /// What dialects have to know of it.
    var contents: ExportContents {
        ExportContents(
            modules: storedModules
                ?? StoredModule.modules(of: ParameterLayout(configuration: configuration)),
            formats: formats,
            activations: activations,
            inputAmax: inputAmax,
            keyAmax: keyAmax,
            valueAmax: valueAmax
        )
    }
}
