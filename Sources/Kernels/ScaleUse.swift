internal import CKernels

/// How the scales of a tensor fit its values.
public struct ScaleUse: Sendable, Equatable {
    /// Elements beyond the largest value that their scale can hold.
    public var saturatedElements = 0
    /// Blocks with non-zero values that all round to zero.
    public var collapsedBlocks = 0
    /// Blocks with non-zero values.
    public var blocks = 0

    /// No block.
    public init() {}

    /// Counts `count` values under their scales' bytes; see `qat_statistics.h`.
    public mutating func count(
        _ values: UnsafePointer<Float>,
        scales: UnsafePointer<UInt8>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        var use = qat_scale_use()
        qat_count_scale_use_f32(&use, values, scales, count, blockSize, &format)
        saturatedElements += Int(use.saturated)
        collapsedBlocks += Int(use.collapsed)
        blocks += Int(use.blocks)
    }
}
