/// How precise a format is, so that two can be put in order.
///
/// More bits per element come first; of as many bits, more bits of mantissa; then fewer elements per
/// scale, a row being more than any block and a tensor more than any row; then E4M3 scales before
/// powers of two, whose steps are coarser. Rounding rules do not count. What is not quantized is more
/// precise than any format.
public struct FormatPrecision: Sendable, Comparable {
    // From the most significant on.
    private let ranks: [Int]

    /// The precision of a format; of nil, that of values left as they are.
    public init(_ format: QuantizationFormat?) {
        guard let format else {
            ranks = [.max]
            return
        }
        let elementsPerScale =
            switch format.scaleKind {
            case .e8m0, .e4m3TwoLevel: format.blockSize
            case .perChannel: Int.max - 1
            case .perTensor: Int.max
            }
        ranks = [
            format.element.bitWidth, format.element.grid.mantissaBits, -elementsPerScale,
            format.scaleKind == .e4m3TwoLevel ? 1 : 0,
        ]
    }

    /// Whether `left` is less precise than `right`.
    public static func < (left: FormatPrecision, right: FormatPrecision) -> Bool {
        left.ranks.lexicographicallyPrecedes(right.ranks)
    }
}

extension QuantizationFormat {
    /// The more precise of two formats, nil being "not quantized"; the first of equals.
    public static func morePrecise(
        _ first: QuantizationFormat?,
        _ second: QuantizationFormat?
    ) -> QuantizationFormat? {
        FormatPrecision(first) < FormatPrecision(second) ? second : first
    }
}
