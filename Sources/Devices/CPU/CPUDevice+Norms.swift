internal import Kernels

extension CPUDevice {
    /// Enough parts for as many threads to share the work of a norm's gradient.
    private static let maximumParts = 32
    /// Fewer rows than these are not worth a part.
    private static let minimumRows = 16

    /// Split over the team by rows.
    public func normalize(
        _ input: DeviceTensor,
        _ norm: NormOperation,
        statistics: DeviceTensor,
        into output: DeviceTensor
    ) {
        let width = norm.weight.count
        let weight = multiplier(of: norm)
        let (from, into, kept) = (input.floats, output.floats, statistics.floats)
        precondition(
            input.count == output.count && input.count % width == 0
                && statistics.count == (norm.bias == nil ? 1 : 2) * (input.count / width),
            "normalize: tensors that do not fit"
        )
        let bias = norm.bias.map { UnsafePointer($0.floats) }
        team.parallelFor(count: input.count / width) { range in
            let start = range.lowerBound * width
            if let bias {
                DecoderKernels.layerNorm(
                    output: into + start,
                    statistics: kept + 2 * range.lowerBound,
                    input: from + start,
                    parameters: (weight, bias),
                    rows: range.count,
                    width: width,
                    epsilon: norm.epsilon
                )
            } else {
                DecoderKernels.rmsNorm(
                    output: into + start,
                    inverseRMS: kept + range.lowerBound,
                    input: from + start,
                    weight: weight,
                    rows: range.count,
                    width: width,
                    epsilon: norm.epsilon
                )
            }
        }
    }

    /// A norm's weight as it multiplies; valid until the next call.
    private func multiplier(of norm: NormOperation) -> UnsafePointer<Float> {
        let stored = norm.weight.floats
        guard norm.weightOffset != 0 else { return UnsafePointer(stored) }
        let sum = normWeight.reserve(norm.weight.count)
        for index in 0..<norm.weight.count { sum[index] = norm.weightOffset + stored[index] }
        return UnsafePointer(sum)
    }

    /// A parameter's gradient is summed over parts of the rows, and the parts are added in order.
    ///
    /// Which rows make a part depends on their number alone.
    public func normGradient(_ norm: NormOperation, _ gradient: NormGradientOperation) {
        let width = norm.weight.count
        let rows = gradient.input.count / width
        let share = max(Self.minimumRows, (rows - 1) / Self.maximumParts + 1)
        let parts = (rows + share - 1) / share
        // Per part, the gradients of a weight and of a bias.
        let partials = normPartials.reserve(2 * Self.maximumParts * width)
        let part = NormPart(norm, gradient, weight: multiplier(of: norm), width: width)
        team.parallelFor(count: parts) { range in
            for index in range {
                let lower = index * share
                part.add(lower..<min(lower + share, rows), partials + 2 * index * width)
            }
        }
        let (weightGradient, biasGradient) = (part.weightGradient, part.biasGradient)
        for index in 0..<parts {
            let sums = partials + 2 * index * width
            if let weightGradient { DecoderKernels.add(weightGradient, sums, count: width) }
            if let biasGradient { DecoderKernels.add(biasGradient, sums + width, count: width) }
        }
    }
}

/// The gradient of a norm over some of its rows.
private struct NormPart {
    let width: Int
    let weight: UnsafePointer<Float>
    let isCentered: Bool
    let input: UnsafePointer<Float>
    let statistics: UnsafePointer<Float>
    let outputGradient: UnsafePointer<Float>
    let inputGradient: UnsafeMutablePointer<Float>
    let weightGradient: UnsafeMutablePointer<Float>?
    let biasGradient: UnsafeMutablePointer<Float>?

    init(
        _ norm: NormOperation,
        _ gradient: NormGradientOperation,
        weight: UnsafePointer<Float>,
        width: Int
    ) {
        self.width = width
        self.weight = weight
        isCentered = norm.bias != nil
        input = UnsafePointer(gradient.input.floats)
        statistics = UnsafePointer(gradient.statistics.floats)
        outputGradient = UnsafePointer(gradient.outputGradient.floats)
        inputGradient = gradient.inputGradient.floats
        weightGradient = gradient.weightGradient?.floats
        biasGradient = gradient.biasGradient?.floats
        precondition(
            gradient.outputGradient.count == gradient.input.count
                && gradient.inputGradient.count == gradient.input.count,
            "normGradient: tensors that do not fit"
        )
    }

    /// Overwrites `sums`, the parameters' gradients over these rows.
    func add(_ rows: Range<Int>, _ sums: UnsafeMutablePointer<Float>) {
        sums.update(repeating: 0, count: 2 * width)
        let start = rows.lowerBound * width
        if isCentered {
            DecoderKernels.layerNormGradient(
                inputGradient: inputGradient + start,
                parameterGradients: (
                    weightGradient == nil ? nil : sums,
                    biasGradient == nil ? nil : sums + width
                ),
                outputGradient: outputGradient + start,
                input: input + start,
                weight: weight,
                statistics: statistics + 2 * rows.lowerBound,
                shape: (rows.count, width)
            )
        } else {
            DecoderKernels.rmsNormGradient(
                inputGradient: inputGradient + start,
                weightGradient: weightGradient == nil ? nil : sums,
                outputGradient: outputGradient + start,
                input: input + start,
                weight: weight,
                inverseRMS: statistics + rows.lowerBound,
                shape: (rows.count, width)
            )
        }
    }
}
