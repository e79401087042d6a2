internal import Formats
internal import Kernels

extension QuantizationFormat {
    /// Elements that the kernels take at a time: a block, or a row.
    package func span(columns: Int) -> Int { scaleKind.hasBlocks ? blockSize : columns }

    /// The FP32 scale under which `amax` is the largest value that can be held.
    ///
    /// Readers divide by it: it is never zero or subnormal, which some of them flush to zero. Of
    /// `amax` 0 it is 1; of a very small one the least normal number, under which the elements are
    /// still the nearest there are. Of a finite `amax` it is finite, and so is what the largest
    /// element counts.
    package func floatScale(amax: Float) -> Float {
        guard amax != 0 else { return 1 }
        let largest = element.grid.maximumValue * largestBlockScale
        let scale = amax / largest
        if scale < .leastNormalMagnitude { return .leastNormalMagnitude }
        // Rounded up at the very end of the range, it would count too much.
        return scale.isFinite && !(scale * largest).isFinite ? scale.nextDown : scale
    }

    /// What the largest block scale is by the FP32 scale.
    ///
    /// Under four over six 256, as published and as NVIDIA's ModelOpt has it: half as much again, which
    /// maps the largest magnitude of the tensor to 4, is E4M3, too.
    private var largestBlockScale: Float {
        guard scaleKind == .e4m3TwoLevel else { return 1 }
        return picksFourOrSix ? 256 : 448
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
