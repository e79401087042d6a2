internal import Quantization

/// One tensor of a checkpoint, and where its bytes come from.
struct StoredTensor {
    /// What of a packed weight, or which number.
    enum Content {
        /// The packed codes.
        case codes
        /// The block scales' bytes.
        case blockScales
        /// The FP32 scales.
        case floatScales
        /// Reciprocals of the FP32 scales; of 0, 1.
        case reciprocalScales
        /// A number that is known beforehand.
        case constant(Float)
    }

    var name: String
    var type: SafetensorsType
    /// Empty for a scalar.
    var shape: [Int]
    var content: Content

    var byteCount: Int { shape.reduce(type.byteCount, *) }

    /// The bytes of a packed weight's tensor; `packed` may be nil for constants.
    func bytes(of packed: PackedTensor?) -> [UInt8] {
        switch content {
        case .codes: packed?.codes ?? []
        case .blockScales: packed?.scales ?? []
        case .floatScales: Self.bytes(packed?.floatScales ?? [])
        case .reciprocalScales:
            Self.bytes((packed?.floatScales ?? []).map { $0 > 0 ? 1 / $0 : 1 })
        case .constant(let number): Self.bytes([number])
        }
    }

    private static func bytes(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in
            withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        }
    }
}
