internal import Formats
internal import Quantization

/// How one format lays out a linear layer: the tensors a module has, and nothing else.
struct StorageScheme: Equatable {
    /// What a tensor's numbers mean, and so which of them are wrong.
    enum Role: Equatable {
        /// Packed codes, of which every byte is valid.
        case codes
        /// E4M3 elements.
        case e4m3Elements
        /// Biased exponents.
        case e8m0Scales
        /// Unsigned E4M3 block scales.
        case e4m3Scales
        /// FP32 factors.
        case factors
        /// An FP32 factor above block scales, amax / 2688.
        case twoLevelFactor
        /// Its reciprocal, 2688 / amax.
        case twoLevelDivisor
    }

    /// A tensor's shape, given the weight's.
    enum Shape: Equatable {
        /// As many columns as codes of so many bits take bytes.
        case packed(bits: Int)
        /// One column per block.
        case blocks(Int)
        /// `[1]`.
        case one
        /// `[]`.
        case scalar
        /// `[rows]`.
        case rows
        /// `[rows, 1]`.
        case column

        func extents(rows: Int, columns: Int) -> [Int] {
            switch self {
            case .packed(let bits): [rows, columns * bits / 8]
            case .blocks(let size): [rows, columns / size]
            case .one: [1]
            case .scalar: []
            case .rows: [rows]
            case .column: [rows, 1]
            }
        }
    }

    /// One tensor of a module.
    struct Tensor: Equatable {
        let suffix: String
        let type: SafetensorsType
        let shape: Shape
        let role: Role

        init(_ suffix: String, _ type: SafetensorsType, _ shape: Shape, _ role: Role) {
            self.suffix = suffix
            self.type = type
            self.shape = shape
            self.role = role
        }
    }

    /// The name under which configurations know it.
    let name: String
    /// What the number of inputs must be a multiple of.
    let blockSize: Int
    /// The tensors.
    let tensors: [Tensor]

    /// Whether there is an FP32 scale above block scales.
    var isTwoLevel: Bool { twoLevelTensor != nil }

    /// The tensor with the FP32 scale above block scales.
    var twoLevelTensor: Tensor? {
        tensors.first {
            $0.suffix.hasPrefix(".weight")
                && ($0.role == .twoLevelFactor || $0.role == .twoLevelDivisor)
        }
    }
}

extension StorageScheme {
    /// Four-bit codes with a power of two per 32; compressed-tensors names the codes differently.
    static func mxfp4(_ name: String, codes: String) -> Self {
        mx(name, .init(codes, .u8, .packed(bits: 4), .codes))
    }

    /// Six-bit codes with a power of two per 32.
    static func mxfp6(_ name: String) -> Self {
        mx(name, .init(".weight", .u8, .packed(bits: 6), .codes))
    }

    /// E4M3 elements with a power of two per 32.
    static func mxfp8(_ name: String) -> Self { mx(name, e4m3Weight) }

    /// compressed-tensors' NVFP4.
    static func dividedNVFP4(hasInputScale: Bool) -> Self {
        let inputs = Tensor(".input_global_scale", .f32, .one, .twoLevelDivisor)
        return Self(
            name: "nvfp4-pack-quantized",
            blockSize: 16,
            tensors: [
                .init(".weight_packed", .u8, .packed(bits: 4), .codes),
                .init(".weight_scale", .f8E4M3, .blocks(16), .e4m3Scales),
                .init(".weight_global_scale", .f32, .one, .twoLevelDivisor),
            ] + (hasInputScale ? [inputs] : [])
        )
    }

    /// ModelOpt's NVFP4.
    static func multipliedNVFP4(hasInputScale: Bool) -> Self {
        let inputs = Tensor(".input_scale", .f32, .scalar, .twoLevelFactor)
        return Self(
            name: hasInputScale ? "NVFP4" : "W4A16_NVFP4",
            blockSize: 16,
            tensors: [
                .init(".weight", .u8, .packed(bits: 4), .codes),
                .init(".weight_scale", .f8E4M3, .blocks(16), .e4m3Scales),
                .init(".weight_scale_2", .f32, .scalar, .twoLevelFactor),
            ] + (hasInputScale ? [inputs] : [])
        )
    }

    /// E4M3 elements under FP32 scales; `inputs` is the shape of the inputs' scale, nil for none.
    static func fp8(_ name: String, scales: Shape, inputs: Shape?) -> Self {
        var tensors = [e4m3Weight, Tensor(".weight_scale", .f32, scales, .factors)]
        if let inputs { tensors.append(Tensor(".input_scale", .f32, inputs, .factors)) }
        return Self(name: name, blockSize: 1, tensors: tensors)
    }

    private static let e4m3Weight = Tensor(".weight", .f8E4M3, .packed(bits: 8), .e4m3Elements)

    private static func mx(_ name: String, _ codes: Tensor) -> Self {
        let scales = Tensor(".weight_scale", .u8, .blocks(32), .e8m0Scales)
        return Self(name: name, blockSize: 32, tensors: [codes, scales])
    }
}
