/// How a GGUF tensor's elements are stored.
///
/// - SeeAlso: ggml, `ggml-common.h` (block layouts).
public enum GGUFTensorType: UInt32, Sendable, CaseIterable {
    /// 32-bit floats.
    case f32 = 0
    /// Half precision.
    case f16 = 1
    /// 32 four-bit codes, scale.
    case q4_0 = 2
    /// 32 four-bit codes, scale and minimum.
    case q4_1 = 3
    /// 32 bytes, scale.
    case q8_0 = 8
    /// 256 six-bit codes in 16 scaled groups.
    case q6_K = 14
    /// bfloat16.
    case bf16 = 30

    /// Elements per block.
    public var blockSize: Int {
        switch self {
        case .f32, .f16, .bf16: 1
        case .q4_0, .q4_1, .q8_0: 32
        case .q6_K: 256
        }
    }

    /// Bytes per block.
    public var blockByteCount: Int {
        switch self {
        case .f32: 4
        case .f16, .bf16: 2
        case .q4_0: 18
        case .q4_1: 20
        case .q8_0: 34
        case .q6_K: 210
        }
    }

    static var names: String { allCases.map { "\($0)".uppercased() }.joined(separator: ", ") }

    /// Writes the FP32 values of whole blocks.
    ///
    /// - Precondition: The buffers' sizes agree.
    func dequantize(_ bytes: UnsafeRawBufferPointer, into output: UnsafeMutablePointer<Float>) {
        let blocks = bytes.count / blockByteCount
        for block in 0..<blocks {
            let start = block * blockByteCount
            let target = output + block * blockSize
            switch self {
            case .f32: target.pointee = Float(bitPattern: Self.word(bytes, start))
            case .f16: target.pointee = Self.half(bytes, start)
            case .bf16: target.pointee = Float(bitPattern: UInt32(Self.short(bytes, start)) << 16)
            case .q4_0: Self.q4_0(bytes, start, target)
            case .q4_1: Self.q4_1(bytes, start, target)
            case .q8_0:
                let scale = Self.half(bytes, start)
                for index in 0..<32 {
                    target[index] = Float(Int8(bitPattern: bytes[start + 2 + index])) * scale
                }
            case .q6_K: Self.q6_K(bytes, start, target)
            }
        }
    }

    private static func short(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt16 {
        UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    private static func half(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Float {
        HalfPrecision.float(short(bytes, offset))
    }

    private static func q4_0(
        _ bytes: UnsafeRawBufferPointer,
        _ start: Int,
        _ target: UnsafeMutablePointer<Float>
    ) {
        let scale = half(bytes, start)
        for index in 0..<16 {
            let byte = Int(bytes[start + 2 + index])
            target[index] = Float((byte & 15) - 8) * scale
            target[index + 16] = Float((byte >> 4) - 8) * scale
        }
    }

    private static func q4_1(
        _ bytes: UnsafeRawBufferPointer,
        _ start: Int,
        _ target: UnsafeMutablePointer<Float>
    ) {
        let scale = half(bytes, start)
        let minimum = half(bytes, start + 2)
        for index in 0..<16 {
            let byte = Int(bytes[start + 4 + index])
            target[index] = Float(byte & 15) * scale + minimum
            target[index + 16] = Float(byte >> 4) * scale + minimum
        }
    }

    private static func q6_K(
        _ bytes: UnsafeRawBufferPointer,
        _ start: Int,
        _ target: UnsafeMutablePointer<Float>
    ) {
        // 128 bytes of low nibbles, 64 of high pairs, 16 signed scales, one half-precision scale.
        let scale = half(bytes, start + 208)
        for part in 0..<2 {
            let low = start + part * 64
            let high = start + 128 + part * 32
            let scales = start + 192 + part * 8
            for index in 0..<32 {
                let pairs = Int(bytes[high + index])
                let a = Int(bytes[low + index])
                let b = Int(bytes[low + index + 32])
                let codes = (
                    (a & 15) | (pairs & 3) << 4, (b & 15) | (pairs >> 2 & 3) << 4,
                    (a >> 4) | (pairs >> 4 & 3) << 4, (b >> 4) | (pairs >> 6 & 3) << 4
                )
                let first = target + part * 128 + index
                let group = scales + index / 16
                func value(_ code: Int, _ quarter: Int) -> Float {
                    let factor = Int8(bitPattern: bytes[group + quarter * 2])
                    return scale * Float(factor) * Float(code - 32)
                }
                first[0] = value(codes.0, 0)
                first[32] = value(codes.1, 1)
                first[64] = value(codes.2, 2)
                first[96] = value(codes.3, 3)
            }
        }
    }
}

/// IEEE half precision, in integer arithmetic: `Float16` is not on every platform.
enum HalfPrecision {
    static func float(_ bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let exponent = UInt32(bits >> 10 & 31)
        let mantissa = UInt32(bits & 1023)
        if exponent == 31 {
            return Float(bitPattern: sign | 0x7F80_0000 | mantissa << 13)
        }
        if exponent == 0 {
            let magnitude = Float(mantissa) * 0x1p-24
            return sign == 0 ? magnitude : -magnitude
        }
        return Float(bitPattern: sign | (exponent + 112) << 23 | mantissa << 13)
    }

    /// The top half of a float, rounded to nearest even.
    static func bfloat(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if value.isNaN {
            return UInt16(bits >> 16) | 0x40
        }
        return UInt16((bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    }
}
