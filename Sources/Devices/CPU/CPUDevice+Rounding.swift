public import Formats
internal import Kernels
internal import Quantization

extension CPUDevice {
    /// Split over the team by blocks, or by rows where each has a scale.
    public func fakeQuantize(
        _ source: DeviceTensor,
        _ rounding: Rounding,
        into target: DeviceTensor
    ) {
        precondition(source.count == target.count, "fakeQuantize: tensors of two sizes")
        var amax: Float?
        switch rounding.scale {
        case .fixed(let scale):
            return BlockQuantizer.fakeQuantize(
                source.floats,
                into: target.floats,
                rows: source.rows,
                columns: source.columns,
                format: rounding.format,
                scale: scale,
                team: team
            )
        case .magnitude(let scalar): amax = scalar.floats.pointee
        case .dynamic: break
        }
        BlockQuantizer.fakeQuantize(
            source.floats,
            into: target.floats,
            rows: source.rows,
            columns: source.columns,
            format: rounding.format,
            amax: amax,
            team: team
        )
    }

    /// Split over the team by blocks.
    public func maskSaturated(
        _ gradient: DeviceTensor,
        source: DeviceTensor,
        format: QuantizationFormat
    ) {
        precondition(gradient.count == source.count, "maskSaturated: tensors of two sizes")
        BlockQuantizer.maskSaturated(
            gradient: gradient.floats,
            source: source.floats,
            rows: source.rows,
            columns: source.columns,
            format: format,
            team: team
        )
    }
}
