public import Kernels

extension CPUDevice {
    /// On the calling thread.
    public func embed(_ tokens: DeviceTensor, table: DeviceTensor, into output: DeviceTensor) {
        precondition(
            tokens.count == output.rows && table.columns == output.columns,
            "embed: tensors that do not fit"
        )
        DecoderKernels.embed(
            output: output.floats,
            table: table.floats,
            tokens: tokens.tokens,
            rows: output.rows,
            width: output.columns
        )
    }

    /// On the calling thread.
    public func embed(
        _ tokens: DeviceTensor,
        packed table: PackedOperand,
        into output: DeviceTensor
    ) {
        precondition(
            tokens.count == output.rows && table.layout.columns == output.columns,
            "embed: tensors that do not fit"
        )
        PackedProduct.unpack(
            table.layout,
            at: table.memory.bytes,
            rows: UnsafeBufferPointer(start: tokens.tokens, count: tokens.count),
            into: output.floats
        )
    }

    /// On the calling thread: rows of a token are added in order.
    public func embedGradient(
        _ tokens: DeviceTensor,
        outputGradient: DeviceTensor,
        into tableGradient: DeviceTensor
    ) {
        precondition(
            tokens.count == outputGradient.rows
                && tableGradient.columns == outputGradient.columns,
            "embedGradient: tensors that do not fit"
        )
        DecoderKernels.embedGradient(
            tableGradient: tableGradient.floats,
            outputGradient: outputGradient.floats,
            tokens: tokens.tokens,
            rows: outputGradient.rows,
            width: outputGradient.columns
        )
    }

    /// Split over the team by sequences.
    public func rotate(_ values: DeviceTensor, _ rotation: RotationOperation, isInverse: Bool) {
        let (start, width, length) = (values.floats, values.columns, rotation.sequenceLength)
        precondition(
            values.rows % length == 0 && width % rotation.headDimension == 0,
            "rotate: tensors that do not fit"
        )
        // Rows that tell their positions themselves may be more than there are positions.
        precondition(
            rotation.positions != nil
                || rotation.firstPosition + length <= rotation.cosine.rows,
            "rotate: \(rotation.cosine.rows) positions"
        )
        precondition(
            rotation.positions.map { $0.count >= values.rows } ?? true,
            "rotate: positions of \(rotation.positions?.count ?? 0) rows, not \(values.rows)"
        )
        let (cosine, sine) = (rotation.cosine.floats, rotation.sine.floats)
        let positions = rotation.positions?.tokens
        // By whole sequences, so that each row knows its position.
        team.parallelFor(count: values.rows / length) { range in
            let part = DecoderKernels.Rotation(
                cosine: cosine,
                sine: sine,
                rows: range.count * length,
                sequenceLength: length,
                firstPosition: rotation.firstPosition,
                heads: width / rotation.headDimension,
                headDimension: rotation.headDimension,
                rotatedDimension: 2 * rotation.cosine.columns,
                positions: positions.map { UnsafePointer($0 + range.lowerBound * length) }
            )
            let first = start + range.lowerBound * length * width
            if isInverse {
                DecoderKernels.unrotate(first, part)
            } else {
                DecoderKernels.rotate(first, part)
            }
        }
    }

    /// Split over the team by elements.
    public func activate(_ activation: DecoderKernels.Activation, _ tensors: GatedTensors) {
        let (gate, up) = (tensors.gate?.floats, tensors.up.floats)
        let output = tensors.output.floats
        precondition(tensors.up.count == tensors.output.count, "activate: tensors of two sizes")
        team.parallelFor(count: tensors.output.count, grain: Self.grain) { range in
            let start = range.lowerBound
            DecoderKernels.activate(
                activation,
                output: output + start,
                gate: gate.map { UnsafePointer($0 + start) },
                up: up + start,
                count: range.count
            )
        }
    }

    /// Split over the team by elements.
    public func activateGradient(
        _ activation: DecoderKernels.Activation,
        _ tensors: GatedTensors,
        gradients: GatedTensors
    ) {
        let (gate, up) = (tensors.gate?.floats, tensors.up.floats)
        let (gateGradient, upGradient) = (gradients.gate?.floats, gradients.up.floats)
        let outputGradient = gradients.output.floats
        precondition(
            (gate == nil) == (gateGradient == nil)
                && tensors.up.count == gradients.output.count,
            "activateGradient: tensors that do not fit"
        )
        team.parallelFor(count: tensors.up.count, grain: Self.grain) { range in
            let start = range.lowerBound
            DecoderKernels.activateGradient(
                activation,
                gateGradient: gateGradient.map { $0 + start },
                upGradient: upGradient + start,
                outputGradient: outputGradient + start,
                gate: gate.map { UnsafePointer($0 + start) },
                up: up + start,
                count: range.count
            )
        }
    }

    /// Split over the team by elements.
    public func softCap(_ values: DeviceTensor, scale: Float, cap: Float) {
        let start = values.floats
        team.parallelFor(count: values.count, grain: Self.grain) { range in
            DecoderKernels.softCap(
                start + range.lowerBound,
                count: range.count,
                scale: scale,
                cap: cap
            )
        }
    }

    /// Split over the team by elements.
    public func softCapGradient(
        _ gradient: DeviceTensor,
        capped: DeviceTensor,
        scale: Float,
        cap: Float
    ) {
        precondition(gradient.count == capped.count, "softCapGradient: tensors of two sizes")
        let (start, values) = (gradient.floats, capped.floats)
        team.parallelFor(count: gradient.count, grain: Self.grain) { range in
            DecoderKernels.softCapGradient(
                start + range.lowerBound,
                capped: values + range.lowerBound,
                count: range.count,
                scale: scale,
                cap: cap
            )
        }
    }

    /// On the calling thread.
    public func softmax(_ values: DeviceTensor, scale: Float) {
        DecoderKernels.softmax(values.floats, count: values.count, scale: scale)
    }
}
