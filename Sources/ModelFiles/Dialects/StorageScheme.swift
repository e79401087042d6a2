internal import Formats
internal import Quantization

/// How one format lays out a linear layer: the tensors a module has, and nothing else.
///
/// A dialect's table consists of these; a module is written, read and linted by the same one.
struct StorageScheme: Sendable, Equatable {
    /// What codes and scales together are.
    enum Elements: Sendable, Equatable {
        /// A packed tensor.
        case packed(QuantizationFormat)
        /// E4M3 codes with a float scale per tile; the last tiles may be cut off.
        case tiles(rows: Int, columns: Int)
    }

    /// The name under which configurations know it, as in `mxfp4-pack-quantized` or `NVFP4`.
    let name: String
    let elements: Elements
    let tensors: [SchemeTensor]

    /// The format of a packed tensor; nil of tiles.
    var format: QuantizationFormat? {
        if case .packed(let format) = elements { format } else { nil }
    }

    /// The type of an element.
    var element: ElementFormat {
        switch elements {
        case .packed(let format): format.element
        case .tiles: .e4m3
        }
    }

    /// Bits of an element.
    var bitWidth: Int { element.bitWidth }

    /// What the number of inputs must be a multiple of.
    var blockSize: Int {
        guard let format, format.scaleKind.hasBlocks else { return 1 }
        return format.blockSize
    }

    /// The tensor with the FP32 scale above block scales, if there is such.
    var twoLevelTensor: SchemeTensor? { tensor(.twoLevelFactor) ?? tensor(.twoLevelDivisor) }

    /// The tensor of a role, if the scheme has one.
    func tensor(_ role: SchemeTensor.Role) -> SchemeTensor? { tensors.first { $0.role == role } }

    /// The same with further tensors.
    func adding(_ others: [SchemeTensor]) -> Self {
        Self(name: name, elements: elements, tensors: tensors + others)
    }

    /// The same under another name.
    func named(_ name: String) -> Self { Self(name: name, elements: elements, tensors: tensors) }
}

extension StorageScheme {
    /// A scheme with a block scale per row and block.
    ///
    /// `codes`: The suffix of the codes' tensor.
    static func blocks(_ name: String, _ format: QuantizationFormat, codes: String) -> Self {
        let isTwoLevel = format.scaleKind == .e4m3TwoLevel
        return Self(
            name: name,
            elements: .packed(format),
            tensors: [
                elements(codes, format.element),
                SchemeTensor(
                    ".weight_scale",
                    isTwoLevel ? .f8E4M3 : .u8,
                    .blocks(format.blockSize),
                    .blockScales
                ),
            ]
        )
    }

    /// E4M3 elements under FP32 factors of one shape.
    static func fp8(_ name: String, _ elements: Elements, scales: SchemeTensor.Shape) -> Self {
        Self(
            name: name,
            elements: elements,
            tensors: [
                Self.elements(".weight", .e4m3),
                SchemeTensor(".weight_scale", .f32, scales, .factors),
            ]
        )
    }

    /// Codes: E4M3 bytes are called that, everything else is bytes.
    private static func elements(_ suffix: String, _ element: ElementFormat) -> SchemeTensor {
        let type: SafetensorsType =
            switch element {
            case .e4m3: .f8E4M3
            case .e2m1, .e2m3, .e3m2, .e5m2, .int8: .u8
            }
        return SchemeTensor(suffix, type, .packed(bits: element.bitWidth), .elements)
    }
}
