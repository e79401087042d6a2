package import Kernels

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
    package var grid: ElementGrid {
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

    package var kernelCode: Int {
        switch self {
        case .floor: 0
        case .even: 1
        case .evenCT: 2
        case .ceil: 3
        case .rceil: 4
        }
    }
}

/// Where a value exactly between two codes goes.
public enum TieRule: String, Sendable, Codable, CaseIterable {
    /// To the code with an even mantissa.
    case even
    /// Away from zero.
    case away
    /// Toward zero.
    case zero

    package var kernelCode: Int {
        switch self {
        case .even: 0
        case .away: 1
        case .zero: 2
        }
    }
}
