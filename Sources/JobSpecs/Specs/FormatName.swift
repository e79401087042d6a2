/// A number format as job files name it.
public enum FormatName: String, Sendable, CaseIterable, Codable {
    /// Left unquantized.
    case unquantized = "none"
    /// E2M1 with a power-of-two scale per block; also `fp4`.
    case mxfp4
    /// E2M1 with an E4M3 scale per 16 under a scale per tensor.
    case nvfp4
    /// E2M3 with a power-of-two scale per block; also `fp6`.
    case mxfp6E2M3 = "mxfp6_e2m3"
    /// E3M2 with a power-of-two scale per block.
    case mxfp6E3M2 = "mxfp6_e3m2"
    /// E4M3 with a power-of-two scale per block; also `fp8`.
    case mxfp8
    /// E5M2 with a power-of-two scale per block.
    case mxfp8E5M2 = "mxfp8_e5m2"
    /// INT8 with a power-of-two scale per block.
    case mxint8

    /// The format an `algorithm` names, its short names `fp4`, `fp6` and `fp8` included.
    public init?(algorithm: String) {
        switch algorithm {
        case "fp4": self = .mxfp4
        case "fp6": self = .mxfp6E2M3
        case "fp8": self = .mxfp8
        default: self.init(rawValue: algorithm)
        }
    }

    /// Every word `algorithm` may be.
    public static let algorithms = [
        "none", "fp8", "fp6", "fp4", "mxfp4", "nvfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8",
        "mxfp8_e5m2", "mxint8",
    ]
}
