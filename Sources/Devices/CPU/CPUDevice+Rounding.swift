public import Formats
public import Kernels
internal import Quantization

extension CPUDevice {
    /// Split over the team by blocks, or by rows where each has a scale.
    public func fakeQuantize(
        _ source: DeviceTensor,
        _ rounding: Rounding,
        into target: DeviceTensor
    ) {
        precondition(source.count == target.count, "fakeQuantize: tensors of two sizes")
        precondition(
            rounding.offsets == nil || rounding.isStored,
            "offsets go with scales that were found beforehand"
        )
        var amax: Float?
        if let draw = rounding.draw { return fakeQuantize(source, rounding, draw, into: target) }
        switch rounding.scale {
        case .stored(let scales):
            return fakeQuantize(source, rounding, scales, into: target)
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

    /// Split over the team by rows.
    private func fakeQuantize(
        _ source: DeviceTensor,
        _ rounding: Rounding,
        _ stored: Rounding.StoredScales,
        into target: DeviceTensor
    ) {
        let scales = Self.bytes(stored, rounding.format, of: source)
        guard let offsets = rounding.offsets else {
            return BlockQuantizer.fakeQuantize(
                source.floats,
                into: target.floats,
                rows: source.rows,
                columns: source.columns,
                format: rounding.format,
                scales: scales,
                team: team
            )
        }
        precondition(offsets.count == source.count, "fakeQuantize: offsets of another tensor")
        BlockQuantizer.fakeQuantize(
            WeightMatrix(source.floats, rows: source.rows, columns: source.columns),
            into: target.floats,
            format: rounding.format,
            scales: scales,
            offsets: offsets.floats,
            team: team
        )
    }

    /// Split over the team by rows.
    public func learnRounding(
        _ tensors: LearnedRoundingTensors,
        gradient: DeviceTensor,
        source: DeviceTensor,
        _ format: QuantizationFormat,
        step: LearnedRoundingStep
    ) {
        let blocks = format.blockScaleCount(rows: source.rows, columns: source.columns)
        precondition(
            gradient.count == source.count && tensors.offsets.count == source.count
                && (tensors.factors?.count ?? blocks) == blocks,
            "learnRounding: tensors of several sizes"
        )
        _ = Self.bytes(tensors.scales, format, of: source)
        let factorsOfRows = tensors.scales.factors.floats
        BlockQuantizer.learnRounding(
            LearnedRoundingBuffers(
                offsets: tensors.offsets.floats,
                factors: tensors.factors?.floats,
                blocks: tensors.scales.blocks.bytes,
                // Not read where scales stay.
                steps: tensors.steps?.floats ?? factorsOfRows,
                factorsOfRows: factorsOfRows
            ),
            gradient: gradient.floats,
            source: WeightMatrix(source.floats, rows: source.rows, columns: source.columns),
            format: format,
            step: step,
            team: team
        )
    }

    /// Split over the team by rows.
    private func fakeQuantize(
        _ source: DeviceTensor,
        _ rounding: Rounding,
        _ draw: RoundingDraw,
        into target: DeviceTensor
    ) {
        var amax: Float?
        var scales: BlockScaleBytes?
        switch rounding.scale {
        case .stored(let stored): scales = Self.bytes(stored, rounding.format, of: source)
        case .fixed: preconditionFailure("inputs are not rounded at random")
        case .magnitude(let scalar): amax = scalar.floats.pointee
        case .dynamic: break
        }
        BlockQuantizer.fakeQuantize(
            WeightMatrix(source.floats, rows: source.rows, columns: source.columns),
            into: target.floats,
            format: rounding.format,
            scales: scales,
            amax: amax,
            draw: draw,
            team: team
        )
    }

    /// Split over the team by rows.
    public func scaleGradient(
        _ gradient: DeviceTensor,
        ofRounded roundedGradient: DeviceTensor,
        source: DeviceTensor,
        _ rounding: Rounding,
        factor: Float
    ) {
        guard case .stored(let scales) = rounding.scale else {
            preconditionFailure("scales that follow the weights have no gradient of their own")
        }
        precondition(
            roundedGradient.count == source.count
                && gradient.count
                    == rounding.format.blockScaleCount(rows: source.rows, columns: source.columns),
            "scaleGradient: tensors of several sizes"
        )
        BlockQuantizer.scaleGradient(
            gradient.floats,
            ofRounded: roundedGradient.floats,
            source: WeightMatrix(source.floats, rows: source.rows, columns: source.columns),
            format: rounding.format,
            scales: Self.bytes(scales, rounding.format, of: source),
            factor: factor,
            team: team
        )
    }

    /// Split over the team by blocks.
    public func encodeSteps(
        _ steps: DeviceTensor,
        _ format: QuantizationFormat,
        into scales: Rounding.StoredScales
    ) {
        precondition(steps.count == scales.blocks.count, "encodeSteps: tensors of two sizes")
        let storage = BlockStorage(format: format, globalScale: scales.factors.floats.pointee)
        let (bytes, values) = (scales.blocks.bytes, steps.floats)
        team.parallelFor(count: steps.count, grain: 4096) { range in
            QuantizeKernels.encodeSteps(
                bytes + range.lowerBound,
                values + range.lowerBound,
                count: range.count,
                storage: storage
            )
        }
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
