/// The shape and constants of a decoder, under Hugging Face's meanings.
public struct ModelConfiguration: Sendable, Codable, Equatable {
    /// How its layers compute.
    public var architecture = Architecture.llama
    /// Tokens in the vocabulary.
    public var vocabularySize: Int
    /// Width of the residual stream.
    public var hiddenSize: Int
    /// Width of the MLP.
    public var intermediateSize: Int
    /// Decoder layers.
    public var layerCount: Int
    /// Query heads.
    public var headCount: Int
    /// Key and value heads; divides `headCount`.
    public var keyValueHeadCount: Int
    /// Width of a head; even.
    public var headDimension: Int
    /// The rotary embedding.
    public var rotary: RotaryEmbedding
    /// The rotary embedding of layers whose rotation is `local`.
    public var localRotary: RotaryEmbedding?
    /// What each layer's attention sees; empty where all layers see and rotate everything.
    public var layerAttention: [LayerAttention] = []
    /// Added to the mean square (or the variance) in norms.
    public var normEpsilon: Float
    /// Longest sequence the model was made for.
    public var maximumPositions: Int
    /// Whether the head is the embedding.
    public var tiedEmbeddings: Bool
    /// Token that begins a text, if any.
    public var bosToken: Int?
    /// Tokens that end a text; the first is the main one.
    public var eosTokens: [Int]
    /// Token that fills up batches, if any.
    public var padToken: Int?

    /// A configuration; ``validate()`` checks it.
    public init(
        vocabularySize: Int,
        hiddenSize: Int,
        intermediateSize: Int,
        layerCount: Int,
        headCount: Int,
        keyValueHeadCount: Int,
        headDimension: Int? = nil,
        rotary: RotaryEmbedding = RotaryEmbedding(),
        normEpsilon: Float = 1e-5,
        maximumPositions: Int = 2048,
        tiedEmbeddings: Bool = false,
        bosToken: Int? = nil,
        eosTokens: [Int] = []
    ) {
        self.vocabularySize = vocabularySize
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount
        self.headDimension = headDimension ?? (headCount > 0 ? hiddenSize / headCount : 0)
        self.rotary = rotary
        self.normEpsilon = normEpsilon
        self.maximumPositions = maximumPositions
        self.tiedEmbeddings = tiedEmbeddings
        self.bosToken = bosToken
        self.eosTokens = eosTokens
    }

    /// The shape of SmolLM2-135M.
    public static let smolLM2With135MParameters = ModelConfiguration(
        vocabularySize: 49152,
        hiddenSize: 576,
        intermediateSize: 1536,
        layerCount: 30,
        headCount: 9,
        keyValueHeadCount: 3,
        rotary: RotaryEmbedding(theta: 100_000),
        maximumPositions: 8192,
        tiedEmbeddings: true
    )

    /// Width of all query heads together.
    public var queryWidth: Int { headCount * headDimension }
    /// Width of all key heads together.
    public var keyValueWidth: Int { keyValueHeadCount * headDimension }
    /// The linear modules of a layer, in the order of the forward pass.
    public var linearModules: [LinearModule] {
        architecture.hasGate
            ? LinearModule.allCases : LinearModule.allCases.filter { $0 != .gate }
    }
    /// The first modules of the groups that share an input, in the order of the forward pass.
    public var inputGroups: [LinearModule] {
        [.query, .output, architecture.hasGate ? .gate : .up, .down]
    }
    /// The first of the modules that share a module's input.
    public func inputGroup(of module: LinearModule) -> LinearModule {
        switch module {
        case .query, .key, .value: .query
        case .output: .output
        case .gate, .up: architecture.hasGate ? .gate : .up
        case .down: .down
        }
    }
    /// The modules that share a module's input, in the order of the forward pass.
    public func modules(sharingInputOf module: LinearModule) -> [LinearModule] {
        linearModules.filter { inputGroup(of: $0) == inputGroup(of: module) }
    }
    /// What a layer's attention sees.
    public func attention(ofLayer layer: Int) -> LayerAttention {
        layerAttention.isEmpty ? LayerAttention() : layerAttention[layer]
    }
    /// Number of parameters, the embedding counted once when tied.
    ///
    /// - Precondition: The sizes are in the ranges that ``validate()`` asks for.
    public var parameterCount: Int { ParameterLayout(configuration: self).totalCount }

    /// Checks that weights of this configuration can stand in for those of `other`.
    ///
    /// Every layer must compute alike; special tokens and the longest sequence may differ.
    ///
    /// - Throws: ``TransformerError`` (`parameterMismatch`) with what differs.
    public func requireShape(of other: ModelConfiguration) throws(TransformerError) {
        var mine = self
        (mine.bosToken, mine.eosTokens, mine.padToken) =
            (other.bosToken, other.eosTokens, other.padToken)
        mine.maximumPositions = other.maximumPositions
        guard mine != other else { return }
        let sizes = [
            ("vocab_size", vocabularySize, other.vocabularySize),
            ("hidden_size", hiddenSize, other.hiddenSize),
            ("intermediate_size", intermediateSize, other.intermediateSize),
            ("num_hidden_layers", layerCount, other.layerCount),
            ("num_attention_heads", headCount, other.headCount),
            ("num_key_value_heads", keyValueHeadCount, other.keyValueHeadCount),
            ("head_dim", headDimension, other.headDimension),
            ("tie_word_embeddings", tiedEmbeddings ? 1 : 0, other.tiedEmbeddings ? 1 : 0),
        ]
        let different = sizes.filter { $0.1 != $0.2 }.map { "\($0.0) is \($0.1), not \($0.2)" }
        throw TransformerError(
            .parameterMismatch,
            "not weights of the model's shape: "
                + (different.isEmpty
                    ? "its layers compute otherwise (norms, activation or rotary embedding)"
                    : different.joined(separator: ", "))
        )
    }

    /// More parameters than any machine holds; below it, no size in bytes or bits overflows.
    private static let parameterLimit = 1 << 42

    /// Checks that the numbers make a model that fits in memory arithmetic.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`), naming the field.
    public func validate() throws(TransformerError) {
        func require(_ isTrue: Bool, _ message: @autoclosure () -> String) throws(TransformerError)
        {
            if !isTrue {
                throw TransformerError(.invalidConfiguration, message())
            }
        }
        let sizes = [
            ("vocab_size", vocabularySize, 1 << 22), ("hidden_size", hiddenSize, 1 << 17),
            ("intermediate_size", intermediateSize, 1 << 19),
            ("num_hidden_layers", layerCount, 1024), ("num_attention_heads", headCount, 4096),
            ("num_key_value_heads", keyValueHeadCount, 4096), ("head_dim", headDimension, 4096),
            ("max_position_embeddings", maximumPositions, 1 << 24),
        ]
        for (name, value, limit) in sizes {
            try require((1...limit).contains(value), "\(name) is \(value), not in 1...\(limit)")
        }
        try require(headDimension.isMultiple(of: 2), "head_dim \(headDimension) is odd")
        try require(
            headCount.isMultiple(of: keyValueHeadCount),
            "\(headCount) query heads do not divide over \(keyValueHeadCount) key heads"
        )
        try rotary.validate(headDimension: headDimension)
        try localRotary?.validate(headDimension: headDimension)
        try require(
            normEpsilon.isFinite && normEpsilon > 0,
            "the norms' epsilon is \(normEpsilon)"
        )
        try validateLayers()
        try architecture.validate()
        // The sizes are in range by now, so that this does not overflow.
        let count = parameterBound
        try require(
            count <= Self.parameterLimit,
            "\(count) parameters, more than the limit of \(Self.parameterLimit)"
        )
    }
    /// At least as many as there are parameters, without laying them out.
    private var parameterBound: Int {
        let linear = linearModules.reduce(0) {
            $0 + $1.outputWidth(self) * ($1.inputWidth(self) + 1)
        }
        return 2 * vocabularySize * hiddenSize
            + layerCount * (linear + 8 * hiddenSize + queryWidth + keyValueWidth) + 2 * hiddenSize
    }

    private func validateLayers() throws(TransformerError) {
        guard layerAttention.isEmpty || layerAttention.count == layerCount else {
            throw TransformerError(
                .invalidConfiguration,
                "\(layerAttention.count) kinds of attention for \(layerCount) layers"
            )
        }
        for (layer, attention) in layerAttention.enumerated() {
            guard attention.window ?? 1 > 0 else {
                throw TransformerError(
                    .invalidConfiguration,
                    "sliding_window is \(attention.window ?? 0) in layer \(layer)"
                )
            }
            guard attention.rotation != .local || localRotary != nil else {
                throw TransformerError(
                    .invalidConfiguration,
                    "layer \(layer) has a local rotation, but the model has no local frequencies"
                )
            }
        }
    }
}

extension Architecture {
    /// Checks the constants.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`), naming the field.
    func validate() throws(TransformerError) {
        let factors: [(String, Float?)] = [
            ("embedding multiplier", embeddingMultiplier),
            ("residual multiplier", residualMultiplier), ("attention scale", attentionScale),
            ("attention soft cap", attentionSoftCap), ("logit multiplier", logitMultiplier),
            ("logit soft cap", logitSoftCap),
        ]
        for case (let name, let value?) in factors where !(value.isFinite && value > 0) {
            throw TransformerError(.invalidConfiguration, "the \(name) is \(value)")
        }
    }
}
