/// How a block's scale follows from its amax.
///
/// All but ``fourOverSix`` choose the exponent of a power of two.
public enum ScaleMode: String, Sendable, Codable, CaseIterable {
    /// OCP: the exponent of amax less the element's largest exponent; the top may saturate.
    case floor
    /// As floor, after rounding amax to the element's mantissa.
    case even
    /// As even, always with one mantissa bit, as compressed-tensors does.
    case evenCT = "even_ct"
    /// One more than floor unless amax is a power of two.
    case ceil
    /// The smallest exponent with which amax does not saturate.
    case rceil
    /// Of NVFP4: the E4M3 scale under which amax becomes 6 or 4 steps, by the smaller squared error.
    ///
    /// - SeeAlso: Cook et al., Four Over Six, arXiv 2512.02010.
    case fourOverSix = "four_over_six"

    /// Whether it is one of power-of-two scales.
    public var isOfPowersOfTwo: Bool { self != .fourOverSix }
}
