/// The rotary embedding of positions: which dimensions of a head turn, and how fast.
///
/// - SeeAlso: Su et al. 2021, arXiv:2104.09864; Hugging Face Transformers, `modeling_rope_utils.py`.
public struct RotaryEmbedding: Sendable, Codable, Equatable {
    /// How a model's frequencies were changed for longer texts.
    public enum Scaling: Sendable, Codable, Equatable {
        /// All wavelengths are stretched by a factor.
        case linear(factor: Double)
        /// The base grows with the sequence once it exceeds `originalPositions` (NTK).
        case dynamic(factor: Double, originalPositions: Int)
        /// Long wavelengths are stretched.
        case llama3(Llama3)
        /// Frequencies are interpolated by how often they turn within the original length.
        case yarn(Yarn)
        /// A factor for each frequency, one list for short and one for long texts.
        case longRope(LongRope)
    }

    /// Llama 3's stretching of long wavelengths.
    public struct Llama3: Sendable, Codable, Equatable {
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

    /// YaRN's interpolation.
    ///
    /// - SeeAlso: Peng et al. 2023, arXiv:2309.00071.
    public struct Yarn: Sendable, Codable, Equatable {
        /// How far the longest wavelengths are stretched.
        public var factor: Double
        /// Positions of the model before it was stretched.
        public var originalPositions: Int
        /// Frequencies that turn more often than this within the original length are left alone.
        public var betaFast = 32.0
        /// Frequencies that turn less often are stretched fully.
        public var betaSlow = 1.0
        /// Multiplies cosines and sines; nil for `0.1 · ln(factor) + 1`.
        public var attentionFactor: Double?
        /// Whether the two borders are rounded to whole dimensions.
        public var truncatesBorders = true

        /// A scaling with the paper's borders.
        public init(factor: Double, originalPositions: Int) {
            self.factor = factor
            self.originalPositions = originalPositions
        }
    }

    /// LongRoPE's factors.
    ///
    /// - SeeAlso: Ding et al. 2024, arXiv:2402.13753.
    public struct LongRope: Sendable, Codable, Equatable {
        /// Divides each frequency of texts up to `originalPositions`.
        public var shortFactors: [Double]
        /// Divides each frequency of longer texts.
        public var longFactors: [Double]
        /// Positions of the model before it was stretched.
        public var originalPositions: Int
        /// Multiplies cosines and sines.
        public var attentionFactor: Double

        /// A scaling; the lists hold half as many factors as dimensions turn.
        public init(
            shortFactors: [Double],
            longFactors: [Double],
            originalPositions: Int,
            attentionFactor: Double
        ) {
            self.shortFactors = shortFactors
            self.longFactors = longFactors
            self.originalPositions = originalPositions
            self.attentionFactor = attentionFactor
        }
    }

    /// Base of the frequencies.
    public var theta: Double
    /// The first dimensions of a head that turn, an even number; nil for all.
    public var dimension: Int?
    /// The change for longer texts, if any.
    public var scaling: Scaling?

    /// An embedding; the defaults turn all dimensions as trained.
    public init(theta: Double = 10_000, dimension: Int? = nil, scaling: Scaling? = nil) {
        self.theta = theta
        self.dimension = dimension
        self.scaling = scaling
    }

    /// Checks the numbers, for heads of `headDimension`.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`), naming the field.
    func validate(headDimension: Int) throws(TransformerError) {
        func require(_ isTrue: Bool, _ message: @autoclosure () -> String) throws(TransformerError)
        {
            if !isTrue { throw TransformerError(.invalidConfiguration, message()) }
        }
        let rotated = dimension ?? headDimension
        try require(
            rotated >= 2 && rotated <= headDimension && rotated.isMultiple(of: 2),
            "partial_rotary_factor: \(rotated) rotated dimensions of a head of \(headDimension)"
        )
        try require(theta.isFinite && theta > 0, "rope_theta is \(theta)")
        for (key, value, isValid) in scaling?.numbers(rotated: rotated, theta: theta) ?? [] {
            try require(isValid, "rope_scaling: \(key) is \(value)")
        }
    }
}

extension RotaryEmbedding.Scaling {
    /// Its numbers under Hugging Face's names, and whether each is in range.
    fileprivate func numbers(
        rotated: Int,
        theta: Double
    ) -> [(key: String, value: String, isValid: Bool)] {
        func positive(_ key: String, _ value: Double) -> (String, String, Bool) {
            (key, "\(value)", value.isFinite && value > 0)
        }
        func above(_ key: String, _ value: Double, _ other: String, _ least: Double)
            -> (String, String, Bool)
        {
            let isValid = value.isFinite && value > least
            return (key, "\(value), not above \(other), which is \(least)", isValid)
        }
        func positions(_ key: String, _ value: Int) -> (String, String, Bool) {
            (key, "\(value)", (1...1 << 24).contains(value))
        }
        func factors(_ key: String, _ values: [Double]) -> (String, String, Bool) {
            let isValid =
                values.count == rotated / 2 && values.allSatisfy { $0.isFinite && $0 > 0 }
            let what = "a list of \(values.count); \(rotated / 2) positive numbers are needed"
            return (key, what, isValid)
        }
        let original = "original_max_position_embeddings"
        switch self {
        case .linear(let factor): return [positive("factor", factor)]
        case .dynamic(let factor, let positionCount):
            return [
                ("factor", "\(factor), below 1", factor.isFinite && factor >= 1),
                positions("max_position_embeddings", positionCount),
                ("rope_type", "dynamic, of \(rotated) rotated dimensions", rotated > 2),
            ]
        case .llama3(let scaling):
            return [
                positive("factor", scaling.factor),
                positive("low_freq_factor", scaling.lowFrequencyFactor),
                above(
                    "high_freq_factor",
                    scaling.highFrequencyFactor,
                    "low_freq_factor",
                    scaling.lowFrequencyFactor
                ), positions(original, scaling.originalPositions),
            ]
        case .yarn(let scaling):
            return [
                positive("factor", scaling.factor), positive("beta_slow", scaling.betaSlow),
                above("beta_fast", scaling.betaFast, "beta_slow", scaling.betaSlow),
                positive("attention_factor", scaling.attentionFactor ?? 1),
                positions(original, scaling.originalPositions),
                ("rope_type", "yarn, with a rope_theta of \(theta)", theta > 1),
            ]
        case .longRope(let scaling):
            return [
                factors("short_factor", scaling.shortFactors),
                factors("long_factor", scaling.longFactors),
                positive("attention_factor", scaling.attentionFactor),
                positions(original, scaling.originalPositions),
            ]
        }
    }
}
