public import Transformer

/// A model in memory, with what is needed to write it again.
public struct LoadedModel: Sendable {
    /// Where it came from.
    public enum Source: String, Sendable {
        /// One GGUF file.
        case gguf = "GGUF"
        /// A Hugging Face folder.
        case huggingFace = "Hugging Face"
    }

    /// FP32 parameters.
    public let parameters: Parameters
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Where it came from.
    public let source: Source
    /// Bytes of the tensors as stored.
    public let storedByteCount: Int
    /// What it says of itself beside its weights.
    public internal(set) var files: SourceFiles
    /// The FP8 scales of the key-value cache it comes with; nil if it has none.
    public internal(set) var keyValueScales: KeyValueScales?
    /// How inputs, keys and values are to be rounded as it runs.
    public internal(set) var activations = StoredActivations()

    /// The model's shape.
    public var configuration: ModelConfiguration { parameters.configuration }
    /// The tokenizer.json it came with; nil for GGUF.
    public var tokenizerJSON: [UInt8]? { files.tokenizerJSON }
    /// The chat template, if any.
    public var chatTemplate: String? { files.chatTemplate }
    /// What the parameters take in BF16: the yardstick of memory ratios.
    public var bf16ByteCount: Int { parameters.layout.totalCount * 2 }
}

extension LoadedModel {
    /// The same model with other parameters of the same shape.
    public init(_ model: LoadedModel, parameters: Parameters) {
        self.init(
            parameters: parameters,
            tokenizer: model.tokenizer,
            source: model.source,
            storedByteCount: model.storedByteCount,
            files: model.files,
            keyValueScales: model.keyValueScales,
            activations: model.activations
        )
    }

    /// A model made in memory.
    init(
        parameters: Parameters,
        tokenizer: Tokenizer,
        source: Source,
        storedByteCount: Int,
        tokenizerJSON: [UInt8]?,
        chatTemplate: String?
    ) {
        self.init(
            parameters: parameters,
            tokenizer: tokenizer,
            source: source,
            storedByteCount: storedByteCount,
            files: SourceFiles(tokenizerJSON: tokenizerJSON, chatTemplate: chatTemplate)
        )
    }
}
