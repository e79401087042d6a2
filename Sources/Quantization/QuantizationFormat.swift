internal import Kernels

/// How scales are stored.
public enum ScaleKind: String, Sendable, Codable, CaseIterable {
    /// One power of two per block, a byte.
    case e8m0
    /// NVFP4's two levels: one E4M3 byte per block under one FP32 scale per tensor.
    case e4m3TwoLevel = "e4m3"
    /// One FP32 scale per tensor.
    case perTensor = "per_tensor"
    /// One FP32 scale per row: per output channel of a linear layer.
    case perChannel = "per_channel"

    /// Whether blocks along the columns have scales of their own.
    public var hasBlocks: Bool { self == .e8m0 || self == .e4m3TwoLevel }

    /// Whether a tensor has one FP32 scale, alone or above block scales.
    public var hasTensorScale: Bool { self == .perTensor || self == .e4m3TwoLevel }

    var storage: BlockStorage.Scales {
        switch self {
        case .e8m0: .e8m0
        case .e4m3TwoLevel: .e4m3
        case .perTensor, .perChannel: .f32
        }
    }
}

/// A low-precision number format with its rounding rules.
public struct QuantizationFormat: Sendable, Hashable, Codable {
    /// The element type.
    public var element: ElementFormat
    /// Elements per block scale along the last dimension; 0 where scales are per tensor or channel.
    public var blockSize: Int
    /// How scales are stored.
    public var scaleKind: ScaleKind
    /// How power-of-two scales are chosen.
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
        self.blockSize =
            scaleKind.hasBlocks ? blockSize ?? (scaleKind == .e8m0 ? 32 : 16) : 0
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

    /// The format a job file's `algorithm` names, or nil if it names none (`none` included).
    public init?(algorithm: String) {
        let synonyms = ["fp4": "mxfp4", "fp6": "mxfp6_e2m3", "fp8": "mxfp8"]
        let name = synonyms[algorithm] ?? algorithm
        guard let format = Self.all.first(where: { $0.name == name }) else {
            return nil
        }
        self = format
    }

    /// The name job files use: `mx…` for power-of-two block scales, `nv…` for two levels,
    /// `…_per_tensor` and `…_per_channel` for FP32 scales.
    public var name: String {
        let (stem, variant) =
            switch element {
            case .e2m1: ("fp4", "")
            case .e2m3: ("fp6", "_e2m3")
            case .e3m2: ("fp6", "_e3m2")
            case .e4m3: ("fp8", "")
            case .e5m2: ("fp8", "_e5m2")
            case .int8: ("int8", "")
            }
        return switch scaleKind {
        case .e8m0: "mx\(stem)\(variant)"
        case .e4m3TwoLevel: "nv\(stem)\(variant)"
        case .perTensor, .perChannel: "\(stem)\(variant)_\(scaleKind.rawValue)"
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

    /// Elements that the kernels take at a time: a block, or a row.
    func span(columns: Int) -> Int { scaleKind.hasBlocks ? blockSize : columns }

    /// The FP32 scale under which `amax` is the largest value that can be held.
    func floatScale(amax: Float) -> Float {
        amax / (element.grid.maximumValue * (scaleKind == .e4m3TwoLevel ? 448 : 1))
    }

    /// The kernels' view of the format under an FP32 scale.
    func storage(scale: Float) -> BlockStorage {
        BlockStorage(
            grid: element.grid,
            scales: scaleKind.storage,
            globalScale: scale,
            scaleMode: scaleMode.kernelCode,
            tie: tieRule.kernelCode
        )
    }

    /// The same for a row of a tensor with these FP32 scales.
    func storage(_ floatScales: [Float], row: Int) -> BlockStorage {
        storage(scale: floatScales.isEmpty ? 1 : floatScales[min(row, floatScales.count - 1)])
    }
}
