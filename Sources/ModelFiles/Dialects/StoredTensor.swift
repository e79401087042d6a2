internal import Formats
internal import Quantization

/// One tensor of a checkpoint that is to be written, and where its bytes come from.
struct StoredTensor {
    /// What of a packed weight, or which number.
    enum Content: Equatable {
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
    /// Whether each part of the module has rows of its own in it; if not, all share the first's.
    var isByRow = true

    var byteCount: Int { shape.reduce(type.byteCount, *) }

    /// The bytes that one part of a module adds; `packed` may be nil for constants.
    ///
    /// `part`: The part's position.
    func bytes(of packed: PackedTensor?, part: Int = 0) -> [UInt8] {
        guard isByRow || part == 0 else { return [] }
        return switch content {
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

extension StoredTensor {
    /// A tensor of a module as a scheme has it; nil of what is written only if there is a number for
    /// it, and none is given.
    ///
    /// `inputScale`: The value of one step of the module's inputs, if it is known.
    init?(_ tensor: SchemeTensor, of module: StoredModule, inputScale: Float?) {
        name = module.name + tensor.suffix
        type = tensor.type
        shape = tensor.shape.extents(rows: module.rows, columns: module.columns)
        isByRow = tensor.shape.isByRow
        switch tensor.role {
        case .elements: content = .codes
        case .blockScales: content = .blockScales
        case .factors, .twoLevelFactor: content = .floatScales
        case .twoLevelDivisor: content = .reciprocalScales
        case .inputFactor, .twoLevelInputFactor, .twoLevelInputDivisor:
            guard let inputScale else { return nil }
            content = .constant(tensor.role.isReciprocal ? 1 / inputScale : inputScale)
        case .columnFactors: return nil
        }
    }
}
