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
    /// 256 four-bit codes in 8 groups with six-bit scales and minima.
    case q4_K = 12
    /// 256 five-bit codes in 8 groups with six-bit scales and minima.
    case q5_K = 13
    /// 256 six-bit codes in 16 scaled groups.
    case q6_K = 14
    /// bfloat16.
    case bf16 = 30
    /// 32 E2M1 codes, a power of two.
    case mxfp4 = 39
    /// 64 E2M1 codes in 4 groups with E4M3 scales.
    case nvfp4 = 40

    /// Elements per block.
    public var blockSize: Int {
        switch self {
        case .f32, .f16, .bf16: 1
        case .q4_0, .q4_1, .q8_0, .mxfp4: 32
        case .nvfp4: 64
        case .q4_K, .q5_K, .q6_K: 256
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
        case .q4_K: 144
        case .q5_K: 176
        case .q6_K: 210
        case .mxfp4: 17
        case .nvfp4: 36
        }
    }

    static var names: String { allCases.map { "\($0)".uppercased() }.joined(separator: ", ") }

    /// Writes the FP32 values of whole blocks; NVFP4 takes the scale of its tensor.
    ///
    /// - Precondition: The buffers' sizes agree.
    func dequantize(
        _ bytes: UnsafeRawBufferPointer,
        into output: UnsafeMutablePointer<Float>,
        tensorScale: Float = 1
    ) {
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
            case .q4_K: Self.q4_K(bytes, start, target, high: nil)
            case .q5_K: Self.q4_K(bytes, start, target, high: start + 16)
            case .q6_K: Self.q6_K(bytes, start, target)
            case .mxfp4: Self.mxfp4(bytes, start, target)
            case .nvfp4: Self.nvfp4(bytes, start, target, tensorScale)
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

    private static let e2m1: [Float] = [
        0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6,
    ]

    private static func mxfp4(
        _ bytes: UnsafeRawBufferPointer,
        _ start: Int,
        _ target: UnsafeMutablePointer<Float>
    ) {
        let scale = Float(sign: .plus, exponent: Int(bytes[start]) - 127, significand: 1)
        for index in 0..<16 {
            let byte = Int(bytes[start + 1 + index])
            target[index] = e2m1[byte & 15] * scale
            target[index + 16] = e2m1[byte >> 4] * scale
        }
    }

    private static func nvfp4(
        _ bytes: UnsafeRawBufferPointer,
        _ start: Int,
        _ target: UnsafeMutablePointer<Float>,
        _ tensorScale: Float
    ) {
        for part in 0..<4 {
            // Unsigned E4M3; its NaN is read as 0.
            let code = Int(bytes[start + part] & 0x7F)
            let mantissa = Float(code & 7) / 8
            let scale: Float =
                code == 0x7F
                ? 0
                : code < 8
                    ? mantissa * 0x1p-6
                    : (1 + mantissa) * Float(sign: .plus, exponent: code / 8 - 7, significand: 1)
            for index in 0..<8 {
                let byte = Int(bytes[start + 4 + part * 8 + index])
                let step = scale * tensorScale
                target[part * 16 + index] = e2m1[byte & 15] * step
                target[part * 16 + index + 8] = e2m1[byte >> 4] * step
            }
        }
    }

    /// Q4_K, and Q5_K with its fifth bits at `high`: two half-precision factors, 8 six-bit scales and
    /// 8 six-bit minima in 12 bytes, then the codes.
    private static func q4_K(
        _ bytes: UnsafeRawBufferPointer,
        _ start: Int,
        _ target: UnsafeMutablePointer<Float>,
        high: Int?
    ) {
        let factor = half(bytes, start)
        let minimumFactor = half(bytes, start + 2)
        let codes = start + (high == nil ? 16 : 48)
        for group in 0..<8 {
            let (scale, minimum) = sixBits(bytes, start + 4, group)
            let step = factor * Float(scale)
            let offset = minimumFactor * Float(minimum)
            for index in 0..<32 {
                let byte = Int(bytes[codes + group / 2 * 32 + index])
                var code = group % 2 == 0 ? byte & 15 : byte >> 4
                if let high { code |= (Int(bytes[high + index]) >> group & 1) << 4 }
                target[group * 32 + index] = step * Float(code) - offset
            }
        }
    }

    /// The scale and minimum of a K-quant's group.
    private static func sixBits(
        _ bytes: UnsafeRawBufferPointer,
        _ start: Int,
        _ group: Int
    ) -> (Int, Int) {
        func byte(_ index: Int) -> Int { Int(bytes[start + index]) }
        if group < 4 { return (byte(group) & 63, byte(group + 4) & 63) }
        return (
            byte(group + 4) & 15 | (byte(group - 4) >> 6) << 4,
            byte(group + 4) >> 4 | (byte(group) >> 6) << 4
        )
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
