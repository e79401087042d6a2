internal import Kernels

/// The backward pass of norms.
///
/// Threads sum a weight's gradient apart; the parts are added in the order of threads.
final class NormGradient {
    private let weights: LayerWeights
    private let gradients: GradientArena
    private let team: ThreadTeam
    /// Per thread, the gradients of a weight and of a bias.
    private let partials: AlignedBuffer<Float>
    private let stride: Int

    init(pass: DecoderPass, gradients: GradientArena) {
        weights = pass.weights
        team = pass.team
        self.gradients = gradients
        stride = max(pass.configuration.hiddenSize, pass.configuration.queryWidth)
        partials = AlignedBuffer(count: 2 * team.threadCount * stride)
    }

    /// Adds to `inputGradient` and to the gradients of the norm's parameters.
    func add(
        _ layer: NormLayer,
        kept: ActivationArena.Norm,
        outputGradient: UnsafePointer<Float>,
        into inputGradient: UnsafeMutablePointer<Float>
    ) {
        let width = layer.norm.width
        let weightGradient = gradients.gradient(ofParameterAt: layer.norm.weight)
        let biasGradient = layer.norm.bias.flatMap { gradients.gradient(ofParameterAt: $0) }
        let weight = weights.weight(of: layer.norm)
        partials.elements.update(repeating: 0)
        let share = (layer.rows + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            let lower = min(thread * share, layer.rows)
            let count = min(lower + share, layer.rows) - lower
            let part = partials.pointer + 2 * thread * stride
            if layer.kind.isCentered {
                DecoderKernels.layerNormGradient(
                    inputGradient: inputGradient + lower * width,
                    parameterGradients: (
                        weightGradient == nil ? nil : part,
                        biasGradient == nil ? nil : part + stride
                    ),
                    outputGradient: outputGradient + lower * width,
                    input: kept.input + lower * width,
                    weight: weight,
                    statistics: kept.statistics + 2 * lower,
                    shape: (count, width)
                )
            } else {
                DecoderKernels.rmsNormGradient(
                    inputGradient: inputGradient + lower * width,
                    weightGradient: weightGradient == nil ? nil : part,
                    outputGradient: outputGradient + lower * width,
                    input: kept.input + lower * width,
                    weight: weight,
                    inverseRMS: kept.statistics + lower,
                    rows: count,
                    width: width
                )
            }
        }
        for thread in 0..<team.threadCount {
            let part = partials.pointer + 2 * thread * stride
            if let weightGradient { DecoderKernels.add(weightGradient, part, count: width) }
            if let biasGradient { DecoderKernels.add(biasGradient, part + stride, count: width) }
        }
    }
}
