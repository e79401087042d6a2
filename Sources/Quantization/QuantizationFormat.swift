/// How block scales are stored.
public enum ScaleKind: String, Sendable, Codable {
    /// One power of two per block, a byte.
    case e8m0
    /// NVFP4: one E4M3 byte per block under one FP32 scale per tensor.
    case e4m3TwoLevel = "e4m3"
}

/// A block-scaled number format with its rounding rules.
public struct QuantizationFormat: Sendable, Hashable, Codable {
    /// The element type.
    public var element: ElementFormat
    /// Elements per scale along the last dimension.
    public var blockSize: Int
    /// How scales are stored.
    public var scaleKind: ScaleKind
    /// How power-of-two scales are chosen.
    public var scaleMode: ScaleMode
    /// Where ties go.
    public var tieRule: TieRule

    /// A format; the defaults are the OCP specification's.
    public init(
        element: ElementFormat,
        blockSize: Int = 32,
        scaleKind: ScaleKind = .e8m0,
        scaleMode: ScaleMode = .floor,
        tieRule: TieRule = .even
    ) {
        self.element = element
        self.blockSize = blockSize
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
    public static let nvfp4 = QuantizationFormat(
        element: .e2m1,
        blockSize: 16,
        scaleKind: .e4m3TwoLevel
    )

    /// The format a job file's `algorithm` names, or nil if it names none (`none` included).
    public init?(algorithm: String) {
        switch algorithm {
        case "fp4", "mxfp4": self = .mxfp4
        case "fp6", "mxfp6_e2m3": self = .mxfp6E2M3
        case "mxfp6_e3m2": self = .mxfp6E3M2
        case "fp8", "mxfp8": self = .mxfp8
        case "mxfp8_e5m2": self = .mxfp8E5M2
        case "mxint8": self = .mxint8
        case "nvfp4": self = .nvfp4
        default: return nil
        }
    }

    /// The name job files use.
    public var name: String {
        switch (element, scaleKind) {
        case (.e2m1, .e4m3TwoLevel): "nvfp4"
        case (.e2m1, _): "mxfp4"
        case (.e2m3, _): "mxfp6_e2m3"
        case (.e3m2, _): "mxfp6_e3m2"
        case (.e4m3, _): "mxfp8"
        case (.e5m2, _): "mxfp8_e5m2"
        case (.int8, _): "mxint8"
        }
    }

    /// Stored bits per weight, scales included, the tensor scale of NVFP4 left out.
    public var bitsPerWeight: Double {
        Double(element.bitWidth) + 8 / Double(blockSize)
    }

    /// Stored bytes of a `[rows, columns]` tensor.
    public func storedByteCount(rows: Int, columns: Int) -> Int {
        let elements = rows * columns
        let global = scaleKind == .e4m3TwoLevel ? 4 : 0
        return elements * element.bitWidth / 8 + elements / blockSize + global
    }
}
