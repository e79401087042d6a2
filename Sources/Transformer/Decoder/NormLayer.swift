internal import Kernels

/// A norm of the pass: which rows it normalizes, and by which parameters.
///
/// A norm per head sees each head of a row as a row of its own.
struct NormLayer {
    let kind: Architecture.Norm
    let norm: LayerWeights.Norm
    /// Rows of `norm.width` elements.
    let rows: Int
    let epsilon: Float

    /// `values` holds `tokens` rows of `width` elements.
    init(_ norm: LayerWeights.Norm, of configuration: ModelConfiguration, tokens: Int, width: Int) {
        kind = configuration.architecture.norm
        epsilon = configuration.normEpsilon
        self.norm = norm
        rows = tokens * (width / norm.width)
    }

    /// `statistics` receives what the backward pass needs.
    func forward(
        _ input: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>,
        statistics: UnsafeMutablePointer<Float>,
        weights: LayerWeights,
        team: ThreadTeam
    ) {
        let width = norm.width
        let weight = weights.weight(of: norm)
        let isCentered = kind.isCentered
        let bias = norm.bias.map { UnsafePointer(weights.parameters.storage.pointer + $0) }
        precondition(isCentered == (bias != nil), "a norm of kind \(kind) and its bias")
        team.parallelFor(count: rows) { range in
            let start = range.lowerBound * width
            if isCentered, let bias {
                DecoderKernels.layerNorm(
                    output: output + start,
                    statistics: statistics + 2 * range.lowerBound,
                    input: input + start,
                    parameters: (weight, bias),
                    rows: range.count,
                    width: width,
                    epsilon: epsilon
                )
            } else {
                DecoderKernels.rmsNorm(
                    output: output + start,
                    inverseRMS: statistics + range.lowerBound,
                    input: input + start,
                    weight: weight,
                    rows: range.count,
                    width: width,
                    epsilon: epsilon
                )
            }
        }
    }
}
