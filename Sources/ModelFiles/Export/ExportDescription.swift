public import Formats
public import Transformer

/// What a writer has to know of a model before its first weight.
public struct ExportDescription: Sendable {
    /// The model's shape.
    public var configuration: ModelConfiguration
    /// What the model says of itself beside its weights.
    public var source: SourceFiles
    /// The tokenizer, where it was read already.
    public var readTokenizer: Tokenizer?
    /// Formats of the quantized weights, by module name.
    public var formats: [String: QuantizationFormat]
    /// The format in which servers shall quantize the inputs of quantized modules; nil for none.
    public var activations: QuantizationFormat?
    /// Largest magnitudes of inputs, by module name; empty where nothing was calibrated.
    public var inputAmax: [String: Float] = [:]
    /// Whether a model whose inputs are rounded under other scales than those of ``inputAmax`` is another
    /// one than the job's: forms that cannot hold them are refused.
    public var clipsInputs = false
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
        source: SourceFiles,
        tokenizer: Tokenizer? = nil,
        formats: [String: QuantizationFormat],
        activations: QuantizationFormat? = nil
    ) {
        self.configuration = configuration
        self.source = source
        readTokenizer = tokenizer
        self.formats = formats
        self.activations = activations
    }

    /// The tokenizer, read from the source if it was not before.
    ///
    /// - Throws: ``ModelFileError``.
    func tokenizer() throws(ModelFileError) -> Tokenizer {
        if let readTokenizer { return readTokenizer }
        return try source.tokenizer()
    }

    /// What the file says of its making: ``metadata``, and `qat.formats` and `qat.activations` with all
    /// rounding rules.
    var fileMetadata: [String: String] {
        guard !formats.isEmpty else { return metadata }
        var notes = FileNotes(metadata)
        notes.add(formats: formats.values, activations: activations)
        return notes.texts
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
            clipsInputs: clipsInputs,
            keyAmax: keyAmax,
            valueAmax: valueAmax
        )
    }
}
