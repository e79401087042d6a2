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

    /// llama.cpp's numbers, `llama_ftype`, for files whose matrices are mostly of this type, the usual
    /// one first.
    ///
    /// - SeeAlso: llama.cpp, `include/llama.h`.
    var fileTypes: [Int] {
        switch self {
        case .f32: [0]
        case .f16: [1]
        case .q4_0: [2]
        case .q4_1: [3]
        case .q8_0: [7]
        case .q4_K: [14, 15]
        case .q5_K: [16, 17]
        case .q6_K: [18]
        case .bf16: [32]
        case .mxfp4: [38]
        case .nvfp4: [39]
        }
    }

    static var names: String { allCases.map { "\($0)".uppercased() }.joined(separator: ", ") }
}
