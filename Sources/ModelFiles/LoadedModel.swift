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
    /// The tokenizer.json it came with, to be passed on as it is; nil for GGUF.
    public let tokenizerJSON: [UInt8]?
    /// The chat template, if any.
    public let chatTemplate: String?
    /// The generation_config.json it comes with, to be passed on; nil if it has none.
    public internal(set) var generationJSON: [UInt8]?
    /// The FP8 scales of the key-value cache it comes with; nil if it has none.
    public internal(set) var keyValueScales: KeyValueScales?
    /// How inputs, keys and values are to be rounded as it runs.
    public internal(set) var activations = StoredActivations()

    /// The files beside the weights that an export passes on as they are, by name.
    public internal(set) var carriedFiles: [String: [UInt8]] = [:]

    /// The model's shape.
    public var configuration: ModelConfiguration { parameters.configuration }
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
            tokenizerJSON: model.tokenizerJSON,
            chatTemplate: model.chatTemplate,
            generationJSON: model.generationJSON,
            keyValueScales: model.keyValueScales,
            activations: model.activations,
            carriedFiles: model.carriedFiles
        )
    }
}
