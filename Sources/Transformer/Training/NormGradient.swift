internal import Kernels

/// The backward pass of norms.
///
/// A weight's gradient is summed over parts of the rows, and the parts are added in order. Which rows
/// make a part depends on their number alone, so results do not depend on that of threads.
final class NormGradient {
    private let weights: LayerWeights
    private let gradients: GradientArena
    private let team: ThreadTeam
    /// Enough for as many threads to share the work.
    private static let maximumParts = 32
    /// Fewer rows than these are not worth a part.
    private static let minimumRows = 16
    /// Per part, the gradients of a weight and of a bias.
    private let partials: AlignedBuffer<Float>
    private let stride: Int

    init(pass: DecoderPass, gradients: GradientArena) {
        weights = pass.weights
        team = pass.team
        self.gradients = gradients
        stride = max(pass.configuration.hiddenSize, pass.configuration.queryWidth)
        partials = AlignedBuffer(count: 2 * Self.maximumParts * stride)
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
        let share = max(Self.minimumRows, (layer.rows - 1) / Self.maximumParts + 1)
        let parts = (layer.rows + share - 1) / share
        func addPart(_ index: Int) {
            let lower = index * share
            let count = min(share, layer.rows - lower)
            let part = partials.pointer + 2 * index * stride
            part.update(repeating: 0, count: 2 * stride)
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
                    shape: (count, width)
                )
            }
        }
        team.parallelFor(count: parts) { range in
            for index in range { addPart(index) }
        }
        for index in 0..<parts {
            let part = partials.pointer + 2 * index * stride
            if let weightGradient { DecoderKernels.add(weightGradient, part, count: width) }
            if let biasGradient { DecoderKernels.add(biasGradient, part + stride, count: width) }
        }
    }
}
