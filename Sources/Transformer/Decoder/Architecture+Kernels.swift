internal import Kernels

extension Architecture.Activation {
    /// The kernel that computes it.
    var kernel: DecoderKernels.Activation {
        switch self {
        case .silu: .silu
        case .gelu: .gelu
        case .geluTanh: .geluTanh
        case .relu: .relu
        case .reluSquared: .reluSquared
        }
    }
}
