/// A low-precision number format with its rounding rules.
public struct QuantizationFormat: Sendable, Hashable, Codable {
    /// The element type.
    public var element: ElementFormat
    /// Elements per block scale along the last dimension; 0 where scales are per tensor or channel.
    public var blockSize: Int
    /// How scales are stored.
    public var scaleKind: ScaleKind
    /// How block scales are chosen.
    ///
    /// ``ScaleMode/fourOverSix`` is of NVFP4 alone, the others are of powers of two; one that is not the
    /// format's means the usual choice.
    public var scaleMode: ScaleMode
    /// Where ties go.
    public var tieRule: TieRule

    /// A format; the defaults are the OCP specification's.
    ///
    /// `blockSize`: 32 of power-of-two scales, 16 of two-level ones, unless given.
    public init(
        element: ElementFormat,
        blockSize: Int? = nil,
        scaleKind: ScaleKind = .e8m0,
        scaleMode: ScaleMode = .floor,
        tieRule: TieRule = .even
    ) {
        self.element = element
        self.blockSize = scaleKind.hasBlocks ? blockSize ?? scaleKind.usualBlockSize : 0
        self.scaleKind = scaleKind
        self.scaleMode = scaleMode
        self.tieRule = tieRule
    }

    /// E2M1 with a power-of-two scale per 32.
    public static let mxfp4 = QuantizationFormat(element: .e2m1)
    /// E2M3 with a power-of-two scale per 32.
    public static let mxfp6E2M3 = QuantizationFormat(element: .e2m3)
    /// E3M2 with a power-of-two scale per 32.
    public static let mxfp6E3M2 = QuantizationFormat(element: .e3m2)
    /// E4M3 with a power-of-two scale per 32.
    public static let mxfp8 = QuantizationFormat(element: .e4m3)
    /// E5M2 with a power-of-two scale per 32.
    public static let mxfp8E5M2 = QuantizationFormat(element: .e5m2)
    /// INT8 with a power-of-two scale per 32.
    public static let mxint8 = QuantizationFormat(element: .int8)
    /// E2M1 with an E4M3 scale per 16 under a scale per tensor.
    public static let nvfp4 = QuantizationFormat(element: .e2m1, scaleKind: .e4m3TwoLevel)
    /// E4M3 with one FP32 scale per tensor.
    public static let fp8PerTensor = QuantizationFormat(element: .e4m3, scaleKind: .perTensor)
    /// E4M3 with one FP32 scale per output channel.
    public static let fp8PerChannel = QuantizationFormat(element: .e4m3, scaleKind: .perChannel)

    /// Every element type under every kind of scale, at its usual block size.
    public static let all = ScaleKind.allCases.flatMap { kind in
        ElementFormat.allCases.map { QuantizationFormat(element: $0, scaleKind: kind) }
    }

    /// Whether BF16 holds its values exactly: it has the exponents of FP32 and eight significant bits,
    /// enough for an element under a power of two, but not for its product with an FP32 scale.
    public var isExactInBF16: Bool {
        switch scaleKind {
        case .e8m0: element.grid.mantissaBits + 1 <= 8
        case .e4m3TwoLevel, .perTensor, .perChannel: false
        }
    }

    /// Stored bits per weight, block scales included, scales of tensors and channels left out.
    public var bitsPerWeight: Double {
        Double(element.bitWidth) + (scaleKind.hasBlocks ? 8 / Double(blockSize) : 0)
    }

    /// Block scale bytes of a `[rows, columns]` tensor.
    public func blockScaleCount(rows: Int, columns: Int) -> Int {
        scaleKind.hasBlocks ? rows * columns / blockSize : 0
    }

    /// Whether values that are on a block's grid, under whichever scale, are rounded to themselves: the
    /// scale that they ask for by themselves is a power of two no larger than need be.
    public var keepsRoundedValues: Bool { scaleKind == .e8m0 && scaleMode != .ceil }

    /// Whether each block's largest magnitude becomes 6 or 4: ``ScaleMode/fourOverSix`` of E2M1, whose
    /// grid has nothing between the two, under E4M3 scales.
    public var picksFourOrSix: Bool {
        scaleMode == .fourOverSix && scaleKind == .e4m3TwoLevel && element == .e2m1
    }

    /// FP32 scales of a tensor of `rows`.
    public func floatScaleCount(rows: Int) -> Int {
        switch scaleKind {
        case .e8m0: 0
        case .e4m3TwoLevel, .perTensor: 1
        case .perChannel: rows
        }
    }

    /// Stored bytes of a `[rows, columns]` tensor.
    public func storedByteCount(rows: Int, columns: Int) -> Int {
        rows * columns * element.bitWidth / 8 + blockScaleCount(rows: rows, columns: columns)
            + 4 * floatScaleCount(rows: rows)
    }
}
