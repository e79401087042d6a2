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
        func isPositive(_ values: Double...) -> Bool { values.allSatisfy { $0.isFinite && $0 > 0 } }
        func isPositions(_ value: Int) -> Bool { (1...1 << 24).contains(value) }
        let rotated = dimension ?? headDimension
        try require(
            rotated >= 2 && rotated <= headDimension && rotated.isMultiple(of: 2),
            "\(rotated) rotated dimensions of a head of \(headDimension)"
        )
        try require(isPositive(theta), "rope_theta is \(theta)")
        let isValid: Bool =
            switch scaling {
            case nil: true
            case .linear(let factor): isPositive(factor)
            case .dynamic(let factor, let original):
                isPositive(factor) && factor >= 1 && isPositions(original) && rotated > 2
            case .llama3(let scaling):
                isPositive(scaling.factor, scaling.lowFrequencyFactor)
                    && scaling.highFrequencyFactor.isFinite
                    && scaling.highFrequencyFactor > scaling.lowFrequencyFactor
                    && isPositions(scaling.originalPositions)
            case .yarn(let scaling):
                isPositive(scaling.factor, scaling.betaSlow, scaling.attentionFactor ?? 1)
                    && scaling.betaFast.isFinite && scaling.betaFast > scaling.betaSlow
                    && isPositions(scaling.originalPositions) && theta > 1
            case .longRope(let scaling):
                [scaling.shortFactors, scaling.longFactors].allSatisfy { factors in
                    factors.count == rotated / 2
                        && factors.allSatisfy { $0.isFinite && $0 > 0 }
                } && isPositions(scaling.originalPositions) && isPositive(scaling.attentionFactor)
            }
        try require(isValid, "rope_scaling's numbers are out of range, or too few or many")
    }
}
