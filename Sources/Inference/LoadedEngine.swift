public import Devices
public import Kernels
public import ModelFiles
internal import Transformer

/// How a model is loaded to write texts.
public struct EngineOptions: Sendable {
    /// Tokens of a prompt and its answer together; what the model was made for if nil, at most 8192.
    public var length: Int?
    /// Texts that are written at the same time.
    public var sequences: Int
    /// Tokens of a pass.
    public var rows: Int
    /// Pages of the key-value cache; nil for as many as all texts need at their full length.
    public var pageCount: Int?
    /// How keys and values are kept.
    public var encoding: CacheEncoding
    /// Whether inputs of linear layers are rounded as the checkpoint says.
    public var roundsActivations: Bool

    /// Options.
    public init(
        length: Int? = nil,
        sequences: Int = 8,
        rows: Int = 256,
        pageCount: Int? = nil,
        encoding: CacheEncoding = .float32,
        roundsActivations: Bool = true
    ) {
        self.length = length
        self.sequences = sequences
        self.rows = rows
        self.pageCount = pageCount
        self.encoding = encoding
        self.roundsActivations = roundsActivations
    }
}

/// A model that writes texts: its engine, its tokens and its way to put conversations.
public final class LoadedEngine {
    /// Writes.
    public let engine: InferenceEngine
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Nil if the model has none.
    public let chatTemplate: ChatTemplate?

    /// The longest text unless somebody asks for more: memory goes by it.
    private static let usualLength = 8192

    /// Reads a GGUF file or a Hugging Face folder.
    ///
    /// - Throws: ``ModelFileError``; ``TransformerError`` of what cannot be served (``BatchDecoder``).
    public init(path: String, options: EngineOptions, team: ThreadTeam) throws {
        let model = try ModelLoader.loadPacked(ModelLoader.open(path: path), team: team)
        let configuration = model.configuration
        let longest = configuration.maximumPositions
        let length = options.length ?? min(longest, Self.usualLength)
        guard length <= longest else {
            throw ModelFileError(
                .unsupported,
                "\(path): texts of \(length) tokens are asked for; the model takes \(longest)"
            )
        }
        tokenizer = model.tokenizer
        chatTemplate = try ChatTemplate(model.files, model.tokenizer)
        let decoder = try BatchDecoder(
            parameters: model.parameters,
            activations: options.roundsActivations ? model.activations.complete() : .none,
            limits: BatchLimits(
                rows: options.rows,
                sequences: options.sequences,
                length: length,
                pageCount: options.pageCount,
                encoding: options.encoding
            ),
            device: CPUDevice(team: team)
        )
        engine = InferenceEngine(
            decoder: decoder,
            tokenizer: model.tokenizer,
            endTokens: Set(configuration.eosTokens.map { Int32($0) })
        )
    }

    /// The tokens of a text that is continued as it stands.
    public func tokens(_ text: String) -> [Int32] {
        // What is put at a text's end would end it.
        tokenizer.addedAtStart + tokenizer.encode(text)
    }

    /// The tokens of a conversation that is answered.
    ///
    /// - Throws: ``ModelFileError`` of a model without a template, and of what its template refuses.
    public func tokens(answering messages: [ChatMessage]) throws(ModelFileError) -> [Int32] {
        guard let chatTemplate else {
            throw ModelFileError(
                .unsupported,
                "the model has no chat template: it continues texts, and answers no conversation"
            )
        }
        return tokenizer.encode(try chatTemplate.prompt(messages))
    }
}
