internal import Formats
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
        case .stored(let scales):
            return BlockQuantizer.fakeQuantize(
                source.floats,
                into: target.floats,
                rows: source.rows,
                columns: source.columns,
                format: rounding.format,
                scales: Self.bytes(scales, rounding.format, of: source),
                team: team
            )
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

    /// Split over the team by blocks, or by rows where scales were found beforehand.
    public func maskSaturated(
        _ gradient: DeviceTensor,
        source: DeviceTensor,
        _ rounding: Rounding
    ) {
        precondition(gradient.count == source.count, "maskSaturated: tensors of two sizes")
        guard case .stored(let scales) = rounding.scale else {
            return BlockQuantizer.maskSaturated(
                gradient: gradient.floats,
                source: source.floats,
                rows: source.rows,
                columns: source.columns,
                format: rounding.format,
                team: team
            )
        }
        BlockQuantizer.maskSaturated(
            gradient: gradient.floats,
            source: source.floats,
            rows: source.rows,
            columns: source.columns,
            format: rounding.format,
            scales: Self.bytes(scales, rounding.format, of: source),
            team: team
        )
    }

    private static func bytes(
        _ scales: Rounding.StoredScales,
        _ format: QuantizationFormat,
        of source: DeviceTensor
    ) -> BlockScaleBytes {
        let (rows, columns) = (source.rows, source.columns)
        precondition(
            scales.blocks.count >= format.blockScaleCount(rows: rows, columns: columns)
                && scales.factors.count >= format.floatScaleCount(rows: rows),
            "\(scales.blocks.count) block scales of [\(rows), \(columns)] in \(format.name)"
        )
        return BlockScaleBytes(blocks: scales.blocks.bytes, factors: scales.factors.floats)
    }
}
