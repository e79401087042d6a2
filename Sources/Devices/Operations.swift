public import Formats
public import Kernels

/// A weight `[out, in]` of a linear layer, as products take it.
public enum WeightOperand: Sendable {
    /// As it is.
    case tensor(DeviceTensor)
    /// In a device's own form, in memory that ``ComputeDevice/prepare(_:in:)`` was given.
    case prepared(DeviceTensor, rows: Int, columns: Int)
    /// Packed, and never changed again: for products forward, in FP32 whatever others multiply.
    case packed(PackedOperand)

    /// The layer's outputs.
    public var rows: Int {
        switch self {
        case .tensor(let tensor): tensor.rows
        case .prepared(_, let rows, _): rows
        case .packed(let operand): operand.layout.rows
        }
    }

    /// Its inputs.
    public var columns: Int {
        switch self {
        case .tensor(let tensor): tensor.columns
        case .prepared(_, _, let columns): columns
        case .packed(let operand): operand.layout.columns
        }
    }
}

/// A packed weight where a device finds it.
public struct PackedOperand: Sendable {
    /// Its bytes.
    public let memory: DeviceTensor
    /// How they lie.
    public let layout: PackedLayout

    /// A weight in memory of bytes.
    ///
    /// - Precondition: The layout's bytes are there.
    public init(memory: DeviceTensor, layout: PackedLayout) {
        precondition(
            memory.type == .uint8 && memory.count >= layout.byteCount,
            "a packed weight of \(layout.byteCount) bytes in \(memory.count)"
        )
        self.memory = memory
        self.layout = layout
    }
}

/// A product of a linear layer with `input` `[rows, in]`, `weight` `[out, in]` and `output`
/// `[rows, out]`.
public enum LinearProduct: Sendable {
    /// `output = input · weightᵀ`.
    case forward(input: DeviceTensor, weight: WeightOperand, output: DeviceTensor)
    /// `inputGradient (+)= outputGradient · weight`.
    case inputGradient(
        outputGradient: DeviceTensor,
        weight: WeightOperand,
        inputGradient: DeviceTensor,
        isAccumulating: Bool
    )
    /// `weightGradient += outputGradientᵀ · input`.
    case weightGradient(
        outputGradient: DeviceTensor,
        input: DeviceTensor,
        weightGradient: DeviceTensor
    )
}

/// The factors of a matrix of low rank, `scale · b · a`.
public struct LowRankFactors: Sendable {
    /// `[rank, columns]`.
    public let a: DeviceTensor
    /// `[rows, rank]`.
    public let b: DeviceTensor
    /// Multiplies the product.
    public let scale: Float

    /// Factors.
    ///
    /// - Precondition: Their ranks are the same.
    public init(a: DeviceTensor, b: DeviceTensor, scale: Float) {
        precondition(a.rows == b.columns, "factors of ranks \(a.rows) and \(b.columns)")
        self.a = a
        self.b = b
        self.scale = scale
    }
}

/// A norm over rows of `weight.count` elements; a wider tensor's rows hold several of them (heads).
public struct NormOperation: Sendable {
    /// Multiplies, after ``weightOffset`` is added.
    public let weight: DeviceTensor
    /// Added in the end; those with a bias subtract the mean first.
    public let bias: DeviceTensor?
    /// What is added to each element of the weight: 1 where w is stored for 1 + w.
    public let weightOffset: Float
    /// Added to the variance.
    public let epsilon: Float

    /// A norm.
    public init(weight: DeviceTensor, bias: DeviceTensor?, weightOffset: Float, epsilon: Float) {
        self.weight = weight
        self.bias = bias
        self.weightOffset = weightOffset
        self.epsilon = epsilon
    }
}

/// What the gradient of a norm reads and adds to.
public struct NormGradientOperation: Sendable {
    /// What was normalized.
    public let input: DeviceTensor
    /// What ``ComputeDevice/normalize(_:_:statistics:into:)`` kept.
    public let statistics: DeviceTensor
    /// The gradient of what the norm put out.
    public let outputGradient: DeviceTensor
    /// Added to.
    public let inputGradient: DeviceTensor
    /// Added to; nil where frozen.
    public let weightGradient: DeviceTensor?
    /// Added to; nil where frozen or without a bias.
    public let biasGradient: DeviceTensor?

    /// A gradient.
    public init(
        input: DeviceTensor,
        statistics: DeviceTensor,
        outputGradient: DeviceTensor,
        inputGradient: DeviceTensor,
        weightGradient: DeviceTensor?,
        biasGradient: DeviceTensor?
    ) {
        self.input = input
        self.statistics = statistics
        self.outputGradient = outputGradient
        self.inputGradient = inputGradient
        self.weightGradient = weightGradient
        self.biasGradient = biasGradient
    }
}

/// How heads turn.
public struct RotationOperation: Sendable {
    /// `[positions, rotated dimensions / 2]`.
    public let cosine: DeviceTensor
    /// `[positions, rotated dimensions / 2]`.
    public let sine: DeviceTensor
    /// Each row's position, int32, one element per row; nil where rows follow each other.
    public let positions: DeviceTensor?
    /// Rows of a sequence; row r is position `firstPosition + r % sequenceLength` unless `positions` says
    /// otherwise.
    public let sequenceLength: Int
    /// The position of a sequence's first row.
    public let firstPosition: Int
    /// Elements per head, of which the first `2 · cosine.columns` turn.
    public let headDimension: Int

    /// A rotation.
    public init(
        cosine: DeviceTensor,
        sine: DeviceTensor,
        sequenceLength: Int,
        firstPosition: Int,
        headDimension: Int,
        positions: DeviceTensor? = nil
    ) {
        self.positions = positions
        self.cosine = cosine
        self.sine = sine
        self.sequenceLength = sequenceLength
        self.firstPosition = firstPosition
        self.headDimension = headDimension
    }
}

/// How attention weighs what it sees.
public struct AttentionScores: Sendable {
    /// Multiplies products of queries and keys.
    public let scale: Float
    /// Scores stay within ± this.
    public let softCap: Float?
    /// Positions that a query sees, itself the last; nil for all before it.
    public let window: Int?

    /// Scores.
    public init(scale: Float, softCap: Float?, window: Int?) {
        self.scale = scale
        self.softCap = softCap
        self.window = window
    }

    /// The scale that is left to the softmax.
    var softmaxScale: Float { softCap == nil ? scale : 1 }

    /// The first position that the query at `position` sees.
    func firstVisible(from position: Int) -> Int { window.map { max(0, position - $0 + 1) } ?? 0 }
}

/// Queries `[rows, heads · dimension]`, keys and values `[rows, key heads · dimension]`, and the output
/// like queries; or their gradients.
public struct AttentionTensors: Sendable {
    /// Rotated, where the layer rotates.
    public let query: DeviceTensor
    /// Likewise.
    public let key: DeviceTensor
    /// Of the rows of ``key``.
    public let value: DeviceTensor
    /// The values by what each query attends to.
    public let output: DeviceTensor

    /// The tensors of one layer.
    public init(
        query: DeviceTensor,
        key: DeviceTensor,
        value: DeviceTensor,
        output: DeviceTensor
    ) {
        self.query = query
        self.key = key
        self.value = value
        self.output = output
    }
}

/// Causal attention over whole sequences of `length` rows each.
public struct SequenceAttention: Sendable {
    /// Rows per sequence.
    public let length: Int
    /// The first row of its sequence that each row sees at most, int32, one element per row, never less
    /// than the row's before it in a sequence; nil for all up to itself.
    public let starts: DeviceTensor?
    /// Elements per head.
    public let headDimension: Int
    /// Scale, cap and window.
    public let scores: AttentionScores

    /// An attention.
    public init(
        length: Int,
        headDimension: Int,
        scores: AttentionScores,
        starts: DeviceTensor? = nil
    ) {
        self.starts = starts
        self.length = length
        self.headDimension = headDimension
        self.scores = scores
    }
}

/// Attention of one sequence's rows from `firstPosition` on, over keys and values of all rows up to
/// the last.
public struct CachedAttentionOperation: Sendable {
    /// Rows before the queries' first.
    public let firstPosition: Int
    /// Elements per head.
    public let headDimension: Int
    /// Scale, cap and window.
    public let scores: AttentionScores

    /// An attention.
    public init(firstPosition: Int, headDimension: Int, scores: AttentionScores) {
        self.firstPosition = firstPosition
        self.headDimension = headDimension
        self.scores = scores
    }
}

/// An MLP's inner tensors, all of one shape; or their gradients.
public struct GatedTensors: Sendable {
    /// Nil where the architecture has no gate.
    public let gate: DeviceTensor?
    /// What the gate lets through, or what is activated where there is none.
    public let up: DeviceTensor
    /// What the down projection takes.
    public let output: DeviceTensor

    /// The tensors of one layer.
    public init(gate: DeviceTensor?, up: DeviceTensor, output: DeviceTensor) {
        self.gate = gate
        self.up = up
        self.output = output
    }
}

/// How a tensor is rounded.
public struct Rounding: Sendable {
    /// What to.
    public let format: QuantizationFormat
    /// Where its scales come from.
    public let scale: Scale
    /// Where the random bits of rounding up or down at random come from; nil rounds to nearest.
    public let draw: RoundingDraw?
    /// How far the middle between an element's two values is moved; nil rounds to nearest.
    ///
    /// - SeeAlso: ``LearnedRoundingTensors``.
    public let offsets: DeviceTensor?

    /// Where scales come from.
    public enum Scale: Sendable {
        /// From the largest magnitudes of blocks, rows or the tensor.
        case dynamic
        /// Likewise, but a scale per tensor from a magnitude that is a scalar of the device; formats
        /// without one do not read it.
        case magnitude(DeviceTensor)
        /// The FP32 scale of the tensor was found beforehand, those of blocks are not.
        case fixed(Float)
        /// All were found beforehand.
        case stored(StoredScales)
    }

    /// Scales of a weight, found beforehand.
    public struct StoredScales: Sendable {
        /// uint8 `[rows, columns / block]`; of one element where scales are FP32 only.
        public let blocks: DeviceTensor
        /// One, or one per row; 1 of powers of two.
        public let factors: DeviceTensor

        /// Scales.
        public init(blocks: DeviceTensor, factors: DeviceTensor) {
            self.blocks = blocks
            self.factors = factors
        }
    }

    /// A rounding.
    ///
    /// - Precondition: Random bits go with no ``Scale/fixed(_:)``, offsets with ``Scale/stored(_:)`` alone.
    public init(
        _ format: QuantizationFormat,
        scale: Scale = .dynamic,
        draw: RoundingDraw? = nil,
        offsets: DeviceTensor? = nil
    ) {
        self.format = format
        self.scale = scale
        self.draw = draw
        self.offsets = offsets
    }
}

extension Rounding {
    /// Whether all scales were found beforehand.
    var isStored: Bool {
        if case .stored = scale { return true }
        return false
    }
}

/// A teacher's most likely tokens, row by row.
public struct TopOutcomeTensors: Sendable {
    /// int32 `[rows, count]`, most likely first.
    public let tokens: DeviceTensor
    /// Log-probabilities `[rows, count + 1]`; the last is that of all other tokens together.
    public let values: DeviceTensor

    /// Tensors of that many rows and tokens.
    public init(rows: Int, count: Int, device: any ComputeDevice) {
        tokens = device.tensor(rows: rows, columns: count, type: .int32)
        values = device.tensor(rows: rows, columns: count + 1)
    }

    private init(_ tokens: DeviceTensor, _ values: DeviceTensor) {
        self.tokens = tokens
        self.values = values
    }

    /// The rows of a range.
    public func rows(_ range: Range<Int>) -> TopOutcomeTensors {
        TopOutcomeTensors(tokens.rows(range), values.rows(range))
    }
}
