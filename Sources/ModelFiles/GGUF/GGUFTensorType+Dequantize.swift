extension GGUFTensorType {
    private typealias Bytes = UnsafeRawPointer
    private typealias Floats = UnsafeMutablePointer<Float>

    /// Writes the FP32 values of whole blocks; NVFP4 takes the scale of its tensor.
    ///
    /// - Precondition: The buffers' sizes agree.
    func dequantize(
        _ bytes: UnsafeRawBufferPointer,
        into output: UnsafeMutablePointer<Float>,
        tensorScale: Float = 1
    ) {
        guard let start = bytes.baseAddress else {
            return
        }
        let blocks = bytes.count / blockByteCount
        switch self {
        case .f32:
            forEachBlock(blocks, start, output) {
                $1.pointee = Float(bitPattern: Self.word($0, 0))
            }
        case .f16: forEachBlock(blocks, start, output) { $1.pointee = Self.half($0, 0) }
        case .bf16:
            forEachBlock(blocks, start, output) {
                $1.pointee = Float(bitPattern: UInt32(Self.short($0, 0)) << 16)
            }
        case .q4_0: forEachBlock(blocks, start, output, Self.q4_0)
        case .q4_1: forEachBlock(blocks, start, output, Self.q4_1)
        case .q8_0: forEachBlock(blocks, start, output, Self.q8_0)
        case .q4_K: forEachBlock(blocks, start, output) { Self.q4_K($0, $1, fifthBits: false) }
        case .q5_K: forEachBlock(blocks, start, output) { Self.q4_K($0, $1, fifthBits: true) }
        case .q6_K: forEachBlock(blocks, start, output, Self.q6_K)
        case .mxfp4, .nvfp4:
            Self.withE2M1 { table in
                if self == .mxfp4 {
                    forEachBlock(blocks, start, output) { Self.mxfp4($0, $1, table) }
                } else {
                    forEachBlock(blocks, start, output) {
                        Self.nvfp4($0, $1, table, tensorScale: tensorScale)
                    }
                }
            }
        }
    }

    /// Inlined with its body, so that each type gets a loop of its own.
    @inline(__always)
    private func forEachBlock(
        _ count: Int,
        _ bytes: Bytes,
        _ output: Floats,
        _ body: (Bytes, Floats) -> Void
    ) {
        let (byteCount, size) = (blockByteCount, blockSize)
        for block in 0..<count {
            body(bytes + block &* byteCount, output + block &* size)
        }
    }

    @inline(__always)
    private static func short(_ bytes: Bytes, _ offset: Int) -> UInt16 {
        UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    @inline(__always)
    private static func word(_ bytes: Bytes, _ offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inline(__always)
    private static func half(_ bytes: Bytes, _ offset: Int) -> Float {
        HalfPrecision.float(short(bytes, offset))
    }

    @inline(__always)
    private static func byte(_ bytes: Bytes, _ offset: Int) -> Int32 {
        Int32(bytes.load(fromByteOffset: offset, as: UInt8.self))
    }

    @inline(__always)
    private static func q4_0(_ bytes: Bytes, _ target: Floats) {
        let scale = half(bytes, 0)
        for index in 0..<16 {
            let codes = byte(bytes, 2 &+ index)
            target[index] = Float(codes & 15 &- 8) * scale
            target[index &+ 16] = Float(codes >> 4 &- 8) * scale
        }
    }

    @inline(__always)
    private static func q4_1(_ bytes: Bytes, _ target: Floats) {
        let scale = half(bytes, 0)
        let minimum = half(bytes, 2)
        for index in 0..<16 {
            let codes = byte(bytes, 4 &+ index)
            target[index] = Float(codes & 15) * scale + minimum
            target[index &+ 16] = Float(codes >> 4) * scale + minimum
        }
    }

    @inline(__always)
    private static func q8_0(_ bytes: Bytes, _ target: Floats) {
        let scale = half(bytes, 0)
        for index in 0..<32 {
            let code = bytes.load(fromByteOffset: 2 &+ index, as: Int8.self)
            target[index] = Float(code) * scale
        }
    }

    /// Q4_K, and Q5_K with its fifth bits: two half-precision factors, 8 six-bit scales and 8 six-bit
    /// minima in 12 bytes, the fifth bits, then the codes.
    @inline(__always)
    private static func q4_K(_ bytes: Bytes, _ target: Floats, fifthBits: Bool) {
        let factor = half(bytes, 0)
        let minimumFactor = half(bytes, 2)
        for group in 0..<8 {
            let (scale, minimum) = sixBits(bytes + 4, group)
            let step = factor * Float(scale)
            let offset = minimumFactor * Float(minimum)
            let codes = bytes + (fifthBits ? 48 : 16) + group / 2 * 32
            let shift = Int32(group % 2 * 4)
            for index in 0..<32 {
                var code = byte(codes, index) &>> shift & 15
                if fifthBits { code |= (byte(bytes, 16 &+ index) &>> Int32(group) & 1) << 4 }
                target[group &* 32 &+ index] = step * Float(code) - offset
            }
        }
    }

    /// The scale and minimum of a K-quant's group.
    @inline(__always)
    private static func sixBits(_ bytes: Bytes, _ group: Int) -> (Int32, Int32) {
        if group < 4 { return (byte(bytes, group) & 63, byte(bytes, group + 4) & 63) }
        let low = byte(bytes, group + 4)
        return (
            low & 15 | (byte(bytes, group - 4) >> 6) << 4,
            low >> 4 | (byte(bytes, group) >> 6) << 4
        )
    }

    /// 128 bytes of low nibbles, 64 of high pairs, 16 signed scales, one half-precision scale.
    @inline(__always)
    private static func q6_K(_ bytes: Bytes, _ target: Floats) {
        let scale = half(bytes, 208)
        for group in 0..<16 {
            // Groups of 16; four pairs of them share their bytes of high bits.
            let (part, quarter, side) = (group / 8, group % 8 / 2, group % 2 * 16)
            let low = bytes + part * 64 + quarter % 2 * 32 + side
            let high = bytes + 128 + part * 32 + side
            let (lowShift, highShift) = (Int32(quarter / 2 * 4), Int32(quarter * 2))
            let factor = bytes.load(fromByteOffset: 192 + group, as: Int8.self)
            let step = scale * Float(factor)
            for index in 0..<16 {
                let nibble = byte(low, index) &>> lowShift & 15
                let pair = byte(high, index) &>> highShift & 3
                target[group &* 16 &+ index] = step * Float((nibble | pair << 4) &- 32)
            }
        }
    }

    private static func withE2M1(_ body: (UnsafePointer<Float>) -> Void) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 16) { table in
            for (code, value) in [Float(0), 0.5, 1, 1.5, 2, 3, 4, 6].enumerated() {
                table[code] = value
                table[code + 8] = -value
            }
            if let start = table.baseAddress { body(UnsafePointer(start)) }
        }
    }

    @inline(__always)
    private static func mxfp4(_ bytes: Bytes, _ target: Floats, _ table: UnsafePointer<Float>) {
        let scale = powerOfTwo(UInt8(truncatingIfNeeded: byte(bytes, 0)))
        for index in 0..<16 {
            let codes = Int(byte(bytes, 1 &+ index))
            target[index] = table[codes & 15] * scale
            target[index &+ 16] = table[codes >> 4] * scale
        }
    }

    @inline(__always)
    private static func nvfp4(
        _ bytes: Bytes,
        _ target: Floats,
        _ table: UnsafePointer<Float>,
        tensorScale: Float
    ) {
        for part in 0..<4 {
            let step = unsignedE4M3(UInt8(truncatingIfNeeded: byte(bytes, part))) * tensorScale
            for index in 0..<8 {
                let codes = Int(byte(bytes, 4 &+ part &* 8 &+ index))
                target[part &* 16 &+ index] = table[codes & 15] * step
                target[part &* 16 &+ index &+ 8] = table[codes >> 4] * step
            }
        }
    }

    /// The scale of an E8M0 byte; 255 is NaN.
    @inline(__always)
    private static func powerOfTwo(_ byte: UInt8) -> Float {
        switch byte {
        case 0: Float(bitPattern: 0x0040_0000)
        case 255: .nan
        default: Float(bitPattern: UInt32(byte) << 23)
        }
    }

    /// llama.cpp's reading of an E4M3 byte: no sign, and NaN is 0.
    @inline(__always)
    private static func unsignedE4M3(_ byte: UInt8) -> Float {
        let code = UInt32(byte & 0x7F)
        return code == 0x7F ? 0 : Float(bitPattern: code << 20) * 0x1p120
    }
}
