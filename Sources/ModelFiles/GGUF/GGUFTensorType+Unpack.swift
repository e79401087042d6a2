internal import Formats

/// Codes and scales of block types that are formats of the suite, in the suite's order.
extension GGUFTensorType {
    /// The format whose codes and scales a type's blocks hold; nil of llama.cpp's own types.
    ///
    /// Q8_0 is MXINT8 where its scales are powers of two, as the suite writes them.
    var format: QuantizationFormat? {
        switch self {
        case .mxfp4: .mxfp4
        case .nvfp4: .nvfp4
        case .q8_0: .mxint8
        case .f32, .f16, .bf16, .q4_0, .q4_1, .q4_K, .q5_K, .q6_K: nil
        }
    }

    /// Appends the codes of whole blocks, of 4 bits the low nibble being the even column, and their
    /// scales; false if a block's scale is none of the format's.
    ///
    /// - Precondition: The type has a ``format``.
    func unpack(
        _ bytes: UnsafeRawBufferPointer,
        codes: inout [UInt8],
        scales: inout [UInt8]
    ) -> Bool {
        guard self != .q8_0 else { return unpackBytes(bytes, codes: &codes, scales: &scales) }
        // A scale's elements: the low nibbles are its first half, the high ones its second.
        let (scaleCount, halfSize) = self == .mxfp4 ? (1, 16) : (4, 8)
        for block in stride(from: 0, to: bytes.count, by: blockByteCount) {
            for part in 0..<scaleCount {
                scales.append(scale(bytes[block + part]))
                let start = block + scaleCount + part * halfSize
                for shift in [UInt8(0), 4] {
                    for pair in stride(from: start, to: start + halfSize, by: 2) {
                        let (even, odd) = (bytes[pair] >> shift & 15, bytes[pair + 1] >> shift & 15)
                        codes.append(even | odd << 4)
                    }
                }
            }
        }
        return true
    }

    /// llama.cpp reads E4M3 scales without a sign, and NaN as 0.
    private func scale(_ byte: UInt8) -> UInt8 {
        guard self == .nvfp4 else { return byte }
        return byte & 0x7F == 0x7F ? 0 : byte & 0x7F
    }

    private func unpackBytes(
        _ bytes: UnsafeRawBufferPointer,
        codes: inout [UInt8],
        scales: inout [UInt8]
    ) -> Bool {
        for block in stride(from: 0, to: bytes.count, by: blockByteCount) {
            let half = bytes.loadUnaligned(fromByteOffset: block, as: UInt16.self)
            let scale = HalfPrecision.float(UInt16(littleEndian: half))
            let elements = bytes[block + 2..<block + blockByteCount]
            if scale == 0, elements.allSatisfy({ $0 == 0 }) {
                scales.append(127)
            } else {
                guard scale > 0, scale.isFinite, scale.significand == 1 else { return false }
                // MXINT8 counts in steps of 1/64.
                scales.append(UInt8(Int(scale.exponent) + 6 + 127))
            }
            codes.append(contentsOf: elements)
        }
        return true
    }
}
