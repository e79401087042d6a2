internal import Formats
internal import Kernels

extension QuantizationFormat {
    /// Elements that the kernels take at a time: a block, or a row.
    func span(columns: Int) -> Int { scaleKind.hasBlocks ? blockSize : columns }

    /// The FP32 scale under which `amax` is the largest value that can be held.
    func floatScale(amax: Float) -> Float {
        amax / (element.grid.maximumValue * (scaleKind == .e4m3TwoLevel ? 448 : 1))
    }

    /// The kernels' view of the format under an FP32 scale.
    func storage(scale: Float) -> BlockStorage {
        BlockStorage(format: self, globalScale: scale)
    }

    /// The same for a row of a tensor with these FP32 scales.
    func storage(_ floatScales: [Float], row: Int) -> BlockStorage {
        storage(scale: floatScales.isEmpty ? 1 : floatScales[min(row, floatScales.count - 1)])
    }
}
