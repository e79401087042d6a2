public import Kernels

extension CPUDevice {
    /// Split over the team by elements, or by blocks that share a scale.
    public func adamW(_ tensors: AdamWTensors, step: AdamWStep) {
        let (weight, gradient) = (tensors.weight.floats, tensors.gradient.floats)
        let (first, second) = (tensors.firstMoment, tensors.secondMoment)
        split(tensors.weight, tensors.gradient, [first, second]) { range in
            let start = range.lowerBound
            switch first.values.type {
            case .uint8:
                OptimizerKernels.adamW(
                    weights: weight + start,
                    firstMoment: first.blocks.from(start),
                    secondMoment: second.blocks.from(start),
                    gradient: gradient + start,
                    count: range.count,
                    first: tensors.place + start,
                    step: step
                )
            case .bfloat16:
                OptimizerKernels.adamW(
                    weights: weight + start,
                    firstMoment: first.values.halves + start,
                    secondMoment: second.values.halves + start,
                    gradient: gradient + start,
                    count: range.count,
                    first: tensors.place + start,
                    step: step
                )
            default:
                OptimizerKernels.adamW(
                    weights: weight + start,
                    firstMoment: first.values.floats + start,
                    secondMoment: second.values.floats + start,
                    gradient: gradient + start,
                    count: range.count,
                    step: step
                )
            }
        }
    }

    /// Split likewise.
    public func lion(_ tensors: LionTensors, step: LionStep) {
        let (weight, gradient) = (tensors.weight.floats, tensors.gradient.floats)
        let moment = tensors.moment
        split(tensors.weight, tensors.gradient, [moment]) { range in
            let start = range.lowerBound
            switch moment.values.type {
            case .uint8:
                OptimizerKernels.lion(
                    weights: weight + start,
                    moment: moment.blocks.from(start),
                    gradient: gradient + start,
                    count: range.count,
                    first: tensors.place + start,
                    step: step
                )
            case .bfloat16:
                OptimizerKernels.lion(
                    weights: weight + start,
                    moment: moment.values.halves + start,
                    gradient: gradient + start,
                    count: range.count,
                    first: tensors.place + start,
                    step: step
                )
            default:
                OptimizerKernels.lion(
                    weights: weight + start,
                    moment: moment.values.floats + start,
                    gradient: gradient + start,
                    count: range.count,
                    step: step
                )
            }
        }
    }

    /// Split over the team by elements.
    public func average(_ average: DeviceTensor, toward values: DeviceTensor, share: Float) {
        precondition(average.count == values.count, "an average of tensors of two sizes")
        let (into, from) = (average.floats, values.floats)
        team.parallelFor(count: average.count, grain: Self.grain) { range in
            OptimizerKernels.average(
                into + range.lowerBound,
                toward: from + range.lowerBound,
                share: share,
                count: range.count
            )
        }
    }

    /// Split over the team by elements.
    public func trackFlips(_ tensors: FlipTensors, rule: FlipRule) {
        let pointers = tensors.pointers
        team.parallelFor(count: tensors.weight.count, grain: Self.grain) { range in
            let part = pointers.from(range.lowerBound)
            OptimizerKernels.trackFlips(part, count: range.count, rule: rule)
        }
    }

    /// Split over the team by elements.
    public func freezeFlips(_ tensors: FlipTensors) {
        let pointers = tensors.pointers
        team.parallelFor(count: tensors.weight.count, grain: Self.grain) { range in
            OptimizerKernels.freezeFlips(pointers.from(range.lowerBound), count: range.count)
        }
    }

    private func split(
        _ weight: DeviceTensor,
        _ gradient: DeviceTensor,
        _ moments: [MomentTensor],
        _ body: (Range<Int>) -> Void
    ) {
        let count = weight.count
        let block = OptimizerKernels.momentBlock
        var grain = Self.grain
        precondition(gradient.count == count, "an update of \(count) by \(gradient.count) elements")
        for moment in moments {
            precondition(
                moment.values.count == count && moment.values.type == moments[0].values.type,
                "an update of \(count) elements with a moment of \(moment.values.count)"
            )
            guard moment.values.type == .uint8 else { continue }
            grain = block
            precondition(
                moment.scales?.count == (count + block - 1) / block,
                "a moment of \(count) codes with \(moment.scales?.count ?? 0) scales"
            )
        }
        team.parallelFor(count: count, grain: grain, body)
    }
}

extension MomentTensor {
    fileprivate var blocks: BlockMoment {
        guard let scales else { preconditionFailure("codes without scales") }
        return BlockMoment(codes: values.bytes, scales: scales.floats)
    }
}

extension FlipTensors {
    fileprivate var pointers: FlipPointers {
        let count = weight.count
        for tensor in [rounded, previous, mean, frequency, state] {
            precondition(tensor.count == count, "flips of \(count) by \(tensor.count) elements")
        }
        return FlipPointers(
            weights: weight.floats,
            rounded: rounded.floats,
            previous: previous.floats,
            mean: mean.floats,
            frequency: frequency.floats,
            state: state.bytes
        )
    }
}
