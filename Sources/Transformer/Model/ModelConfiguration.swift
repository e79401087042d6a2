/// The shape and constants of a Llama-family decoder, under Hugging Face's meanings.
public struct ModelConfiguration: Sendable, Codable, Equatable {
    /// Llama 3's stretching of long wavelengths.
    ///
    /// - SeeAlso: Hugging Face Transformers, `modeling_rope_utils.py`, type `llama3`.
    public struct RotaryScaling: Sendable, Codable, Equatable {
        /// How far the longest wavelengths are stretched.
        public var factor: Double
        /// Wavelengths above `originalPositions / lowFrequencyFactor` are stretched fully.
        public var lowFrequencyFactor: Double
        /// Wavelengths below `originalPositions / highFrequencyFactor` are left alone.
        public var highFrequencyFactor: Double
        /// Positions of the model before it was stretched.
        public var originalPositions: Int

        /// A scaling.
        public init(
            factor: Double,
            lowFrequencyFactor: Double,
            highFrequencyFactor: Double,
            originalPositions: Int
        ) {
            self.factor = factor
            self.lowFrequencyFactor = lowFrequencyFactor
            self.highFrequencyFactor = highFrequencyFactor
            self.originalPositions = originalPositions
        }
    }

    /// The architecture; `llama` is the one there is.
    public var architecture: String = "llama"
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
    /// Base of the rotary frequencies.
    public var ropeTheta: Double
    /// Llama 3's scaling, if any.
    public var ropeScaling: RotaryScaling?
    /// Added to the mean square in RMSNorm.
    public var rmsNormEpsilon: Float
    /// Longest sequence the model was made for.
    public var maximumPositions: Int
    /// Whether the head is the embedding.
    public var tiedEmbeddings: Bool
    /// Token that begins a text, if any.
    public var bosToken: Int?
    /// Token that ends a text, if any.
    public var eosToken: Int?

    /// A configuration; ``validate()`` checks it.
    public init(
        vocabularySize: Int,
        hiddenSize: Int,
        intermediateSize: Int,
        layerCount: Int,
        headCount: Int,
        keyValueHeadCount: Int,
        headDimension: Int? = nil,
        ropeTheta: Double = 10_000,
        ropeScaling: RotaryScaling? = nil,
        rmsNormEpsilon: Float = 1e-5,
        maximumPositions: Int = 2048,
        tiedEmbeddings: Bool = false,
        bosToken: Int? = nil,
        eosToken: Int? = nil
    ) {
        self.vocabularySize = vocabularySize
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount
        self.headDimension = headDimension ?? (headCount > 0 ? hiddenSize / headCount : 0)
        self.ropeTheta = ropeTheta
        self.ropeScaling = ropeScaling
        self.rmsNormEpsilon = rmsNormEpsilon
        self.maximumPositions = maximumPositions
        self.tiedEmbeddings = tiedEmbeddings
        self.bosToken = bosToken
        self.eosToken = eosToken
    }

    /// The shape of SmolLM2-135M.
    public static let smolLM2With135MParameters = ModelConfiguration(
        vocabularySize: 49152,
        hiddenSize: 576,
        intermediateSize: 1536,
        layerCount: 30,
        headCount: 9,
        keyValueHeadCount: 3,
        ropeTheta: 100_000,
        maximumPositions: 8192,
        tiedEmbeddings: true
    )

    /// Width of all query heads together.
    public var queryWidth: Int { headCount * headDimension }
    /// Width of all key heads together.
    public var keyValueWidth: Int { keyValueHeadCount * headDimension }
    /// Number of parameters, the embedding counted once when tied.
    ///
    /// - Precondition: The sizes are in the ranges that ``validate()`` asks for.
    public var parameterCount: Int {
        let linear = LinearModule.allCases.reduce(0) {
            $0 + $1.outputWidth(self) * $1.inputWidth(self)
        }
        return (tiedEmbeddings ? 1 : 2) * vocabularySize * hiddenSize
            + layerCount * (linear + 2 * hiddenSize) + hiddenSize
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
        try require(
            architecture == "llama",
            "architecture \(architecture) is not supported; llama is"
        )
        try require(headDimension.isMultiple(of: 2), "head_dim \(headDimension) is odd")
        try require(
            headCount.isMultiple(of: keyValueHeadCount),
            "\(headCount) query heads do not divide over \(keyValueHeadCount) key heads"
        )
        try require(ropeTheta.isFinite && ropeTheta > 0, "rope_theta is \(ropeTheta)")
        try require(
            rmsNormEpsilon.isFinite && rmsNormEpsilon > 0,
            "rms_norm_eps is \(rmsNormEpsilon)"
        )
        if let scaling = ropeScaling {
            try require(
                scaling.factor.isFinite && scaling.highFrequencyFactor.isFinite
                    && scaling.originalPositions <= 1 << 24 && scaling.factor > 0
                    && scaling.lowFrequencyFactor > 0
                    && scaling.highFrequencyFactor > scaling.lowFrequencyFactor
                    && scaling.originalPositions > 0,
                "rope_scaling's numbers are out of range"
            )
        }
        // The sizes are in range by now, so that this does not overflow.
        let count = parameterCount
        try require(
            count <= Self.parameterLimit,
            "\(count) parameters, more than the limit of \(Self.parameterLimit)"
        )
    }
}
