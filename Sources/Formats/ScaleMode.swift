/// How the exponent of a power-of-two block scale follows from the block's amax.
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
}
