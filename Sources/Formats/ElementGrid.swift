/// How one element of a block-scaled format rounds.
///
/// Magnitudes are multiples of `2^(e - mantissaBits)`, where `2^e` is the value's own power of two,
/// but at least `2^minimumExponent`; none is larger than ``maximumValue``.
public struct ElementGrid: Sendable, Hashable {
    /// Bits of the mantissa after the leading one.
    public let mantissaBits: Int
    /// Exponent of the smallest normal value.
    public let minimumExponent: Int
    /// Exponent of the largest power of two that is representable.
    public let maximumExponent: Int
    /// Largest finite magnitude.
    public let maximumValue: Float
    /// Bits of a stored code.
    public let codeBits: Int
    /// Whether codes are two's complement in a fixed step.
    public let isInteger: Bool

    /// Describes an element type by its constants.
    public init(
        mantissaBits: Int,
        minimumExponent: Int,
        maximumExponent: Int,
        maximumValue: Float,
        codeBits: Int,
        isInteger: Bool
    ) {
        self.mantissaBits = mantissaBits
        self.minimumExponent = minimumExponent
        self.maximumExponent = maximumExponent
        self.maximumValue = maximumValue
        self.codeBits = codeBits
        self.isInteger = isInteger
    }
}
