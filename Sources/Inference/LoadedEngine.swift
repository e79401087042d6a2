public import Devices
public import Kernels
public import ModelFiles
public import Transformer

/// How a model is loaded to write texts.
public struct EngineOptions: Sendable {
    /// Tokens of a prompt and its answer together; what the model was made for if nil, at most 8192.
    public var length: Int?
    /// Whether texts may be longer than what the model was made for.
    public var allowsLongContext = false
    /// Texts that are written at the same time.
    public var sequences: Int
    /// Tokens of a pass.
    public var rows: Int
    /// Pages of the key-value cache; nil for as many as all texts need at their full length.
    public var pageCount: Int?
    /// Bytes that the key-value cache may take, though never too few for one text at its full length; nil for no
    /// limit.
    public var cacheBytes: Int?
    /// How keys and values are kept.
    public var encoding: CacheEncoding
    /// Whether inputs of linear layers are rounded as the checkpoint says.
    public var roundsActivations: Bool

    /// Options.
    public init(
        length: Int? = nil,
        sequences: Int = 8,
        rows: Int = 256,
        cacheBytes: Int? = nil,
        encoding: CacheEncoding = .float32,
        roundsActivations: Bool = true
    ) {
        self.length = length
        self.sequences = sequences
        self.rows = rows
        self.cacheBytes = cacheBytes
        self.encoding = encoding
        self.roundsActivations = roundsActivations
    }
}

extension EngineOptions {
    /// The longest text unless somebody asks for more: memory goes by it.
    private static let usualLength = 8192

    /// Tokens of a text of a model at most.
    fileprivate func length(of configuration: ModelConfiguration) -> Int {
        length ?? min(configuration.maximumPositions, Self.usualLength)
    }

    /// What keys and values of a model take.
    public func cacheByteCount(of configuration: ModelConfiguration) -> Int {
        limits(configuration).cacheByteCount(configuration)
    }

    fileprivate func limits(_ configuration: ModelConfiguration) -> BatchLimits {
        var limits = BatchLimits(
            rows: rows,
            sequences: sequences,
            length: length(of: configuration),
            pageCount: pageCount,
            encoding: encoding
        )
        guard let cacheBytes else { return limits }
        let pageBytes = max(limits.cacheByteCount(configuration) / limits.pageCount, 1)
        limits.pageCount = min(
            limits.pageCount,
            max(limits.pagesPerSequence, cacheBytes / pageBytes)
        )
        return limits
    }
}

/// A model that writes texts: its engine, its tokens and its way to put conversations.
public final class LoadedEngine {
    /// Writes.
    public let engine: InferenceEngine
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// The model's shape.
    public let configuration: ModelConfiguration
    /// Nil if the model has none.
    public let chatTemplate: ChatTemplate?

    /// Reads a GGUF file or a Hugging Face folder.
    ///
    /// - Throws: ``ModelFileError``; ``TransformerError`` of what cannot be served (``BatchDecoder``).
    public convenience init(path: String, options: EngineOptions, team: ThreadTeam) throws {
        let source = try ModelLoader.open(path: path)
        let activations = options.roundsActivations ? try source.activations.complete() : .none
        try self.init(source, options: options, activations: activations, team: team)
    }

    /// Reads a model that is open; `activations`: how inputs, keys and values are rounded.
    ///
    /// - Throws: Likewise.
    public init(
        _ source: any ModelSource,
        options: EngineOptions,
        activations: ActivationQuantization,
        team: ThreadTeam
    ) throws {
        let model = try ModelLoader.loadPacked(source, team: team)
        configuration = model.configuration
        let longest = configuration.maximumPositions
        let length = options.length(of: configuration)
        guard length <= longest || options.allowsLongContext else {
            throw ModelFileError(
                .unsupported,
                "\(source.path): texts of \(length) tokens are asked for; the model takes \(longest)"
            )
        }
        tokenizer = model.tokenizer
        chatTemplate = try ChatTemplate(model.files, model.tokenizer)
        let decoder = try BatchDecoder(
            parameters: model.parameters,
            activations: activations,
            limits: options.limits(configuration),
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

    /// The tokens of a conversation that is answered, in the JSON of OpenAI's API: an array of messages, and
    /// tools or nil.
    ///
    /// - Throws: ``ModelFileError`` as ``tokens(answering:)``.
    public func tokens(
        answeringMessages messages: String,
        tools: String?
    ) throws(ModelFileError) -> [Int32] {
        tokenizer.encode(try template().prompt(messages: messages, tools: tools))
    }

    /// The tokens of a conversation that is answered.
    ///
    /// - Throws: ``ModelFileError`` of a model without a template, and of what its template refuses.
    public func tokens(answering messages: [ChatMessage]) throws(ModelFileError) -> [Int32] {
        tokenizer.encode(try template().prompt(messages))
    }

    private func template() throws(ModelFileError) -> ChatTemplate {
        guard let chatTemplate else {
            throw ModelFileError(
                .unsupported,
                "the model has no chat template: it continues texts, and answers no conversation"
            )
        }
        return chatTemplate
    }
}
