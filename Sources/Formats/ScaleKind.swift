/// How scales are stored.
public enum ScaleKind: String, Sendable, Codable, CaseIterable {
    /// One power of two per block, a byte.
    case e8m0
    /// NVFP4's two levels: one E4M3 byte per block under one FP32 scale per tensor.
    case e4m3TwoLevel = "e4m3"
    /// One FP32 scale per tensor.
    case perTensor = "per_tensor"
    /// One FP32 scale per row: per output channel of a linear layer.
    case perChannel = "per_channel"

    /// Whether blocks along the columns have scales of their own.
    public var hasBlocks: Bool { self == .e8m0 || self == .e4m3TwoLevel }

    /// Whether a tensor has one FP32 scale, alone or above block scales.
    public var hasTensorScale: Bool { self == .perTensor || self == .e4m3TwoLevel }

    /// Elements per block unless somebody says so; 0 where there are no blocks.
    public var usualBlockSize: Int {
        switch self {
        case .e8m0: 32
        case .e4m3TwoLevel: 16
        case .perTensor, .perChannel: 0
        }
    }
}
