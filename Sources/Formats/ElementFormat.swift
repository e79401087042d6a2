/// Element types of block-scaled formats: sign, exponent and mantissa bits as the names say.
///
/// - SeeAlso: OCP Microscaling Formats (MX) v1.0, section 5.3.
public enum ElementFormat: String, Sendable, Codable, CaseIterable {
    /// 4 bits: 0, 0.5, 1, 1.5, 2, 3, 4, 6.
    case e2m1
    /// 6 bits, largest value 7.5.
    case e2m3
    /// 6 bits, largest value 28.
    case e3m2
    /// 8 bits without infinities, largest value 448.
    case e4m3
    /// 8 bits, largest finite value 57,344.
    case e5m2
    /// 8-bit two's complement in steps of 1/64.
    case int8

    /// How values of this type round.
    public var grid: ElementGrid {
        switch self {
        case .e2m1: ElementGrid(floatWithMantissa: 1, minimum: 0, maximum: 2, largest: 6, bits: 4)
        case .e2m3: ElementGrid(floatWithMantissa: 3, minimum: 0, maximum: 2, largest: 7.5, bits: 6)
        case .e3m2: ElementGrid(floatWithMantissa: 2, minimum: -2, maximum: 4, largest: 28, bits: 6)
        case .e4m3:
            ElementGrid(floatWithMantissa: 3, minimum: -6, maximum: 8, largest: 448, bits: 8)
        case .e5m2:
            ElementGrid(floatWithMantissa: 2, minimum: -14, maximum: 15, largest: 57344, bits: 8)
        case .int8:
            ElementGrid(
                mantissaBits: 6,
                minimumExponent: 0,
                maximumExponent: 0,
                maximumValue: 127.0 / 64.0,
                codeBits: 8,
                isInteger: true
            )
        }
    }

    /// Bits of a stored code.
    public var bitWidth: Int { grid.codeBits }
}

extension ElementGrid {
    fileprivate init(
        floatWithMantissa bits: Int,
        minimum: Int,
        maximum: Int,
        largest: Float,
        bits codeBits: Int
    ) {
        self.init(
            mantissaBits: bits,
            minimumExponent: minimum,
            maximumExponent: maximum,
            maximumValue: largest,
            codeBits: codeBits,
            isInteger: false
        )
    }
}
