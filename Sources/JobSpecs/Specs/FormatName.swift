/// A number format as job files name it.
public struct FormatName: Sendable, Hashable {
    /// How scales are stored.
    public enum Scales: String, Sendable, CaseIterable {
        /// A power of two per block: `mx…`.
        case powerOfTwo
        /// NVFP4's E4M3 scale per block below one FP32 scale per tensor: `nv…`.
        case twoLevel
        /// One FP32 scale per tensor: `…_per_tensor`.
        case perTensor
        /// One FP32 scale per output channel: `…_per_channel`.
        case perChannel

        /// Whether blocks have scales of their own.
        public var hasBlocks: Bool { self == .powerOfTwo || self == .twoLevel }
    }

    /// The name, synonyms resolved.
    public let rawValue: String

    private init(_ rawValue: String) {
        self.rawValue = rawValue
    }

    /// Left unquantized.
    public static let unquantized = FormatName("none")

    /// The format an `algorithm` names, the short names `fp4`, `fp6` and `fp8` included.
    public init?(algorithm: String) {
        let name = Self.synonyms[algorithm] ?? algorithm
        guard Self.algorithms.contains(name) else {
            return nil
        }
        rawValue = name
    }

    /// How scales are stored; nil of `none`.
    public var scales: Scales? {
        if self == .unquantized { return nil }
        if rawValue.hasSuffix("_per_tensor") { return .perTensor }
        if rawValue.hasSuffix("_per_channel") { return .perChannel }
        return rawValue.hasPrefix("nv") ? .twoLevel : .powerOfTwo
    }

    /// Elements per scale unless a job says so: 16 of two levels, else 32.
    public var usualBlockSize: Int { scales == .twoLevel ? 16 : 32 }

    /// The same elements with one scale per tensor.
    public var perTensor: FormatName {
        guard let scales, scales != .perTensor else { return self }
        let stem =
            scales == .perChannel
            ? String(rawValue.dropLast("_per_channel".count)) : String(rawValue.dropFirst(2))
        return FormatName(stem + "_per_tensor")
    }

    private static let synonyms = ["fp4": "mxfp4", "fp6": "mxfp6_e2m3", "fp8": "mxfp8"]

    private static let elements = ["fp4", "fp6_e2m3", "fp6_e3m2", "fp8", "fp8_e5m2", "int8"]

    /// Every word `algorithm` may be.
    public static let algorithms =
        ["none", "fp8", "fp6", "fp4"] + elements.map { "mx" + $0 } + elements.map { "nv" + $0 }
        + elements.map { $0 + "_per_tensor" } + elements.map { $0 + "_per_channel" }
}
