internal import Kernels
internal import Quantization

/// Carries calibration windows through a model layer by layer, so that each layer is calibrated on
/// what the rounded layers before it put out.
///
/// Not for concurrent use.
final class LayerwisePass {
    /// Sums of `x · xᵀ` over the inputs of one layer, by the first module that takes them.
    typealias Moments = [LinearModule: AlignedBuffer<Float>]

    private let pass: DecoderPass
    private let product: MatrixProduct
    private let hidden: AlignedBuffer<Float>
    private let windowCount: Int
    private var moments: Moments

    /// Embeds `windowCount` windows of `length` tokens, which must be in the vocabulary.
    init(
        parameters: Parameters,
        tokens: [Int32],
        windowCount: Int,
        length: Int,
        team: ThreadTeam
    ) throws {
        precondition(tokens.count >= windowCount * length, "LayerwisePass: too few tokens")
        let weights = try LayerWeights(parameters: parameters, recipe: .none, team: team)
        pass = DecoderPass(
            weights: weights,
            batchSize: 1,
            length: length,
            layerSlots: 1,
            team: team
        )
        product = MatrixProduct(team: team)
        self.windowCount = windowCount
        let configuration = parameters.configuration
        let width = configuration.hiddenSize
        hidden = AlignedBuffer(count: windowCount * length * width)
        let groups: [LinearModule] = [.query, .output, .gate, .down]
        moments = Dictionary(
            uniqueKeysWithValues: groups.map { group in
                let columns = group.inputWidth(configuration)
                return (group, AlignedBuffer(count: columns * columns))
            }
        )
        tokens.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            for window in 0..<windowCount {
                pass.embed(
                    start + window * length,
                    into: hidden.pointer + window * length * width
                )
            }
        }
    }

    /// The second moments of a layer's inputs, valid until the next call.
    func observe(layer index: Int) -> Moments {
        for buffer in moments.values {
            buffer.pointer.update(repeating: 0, count: buffer.count)
        }
        pass.onInput = { [self] group, input in
            guard let sums = moments[group] else { return }
            let width = group.inputWidth(pass.configuration)
            product.linearWeightGradient(
                sums.pointer,
                outputGradient: input,
                input: input,
                rows: pass.rows,
                inputWidth: width,
                outputWidth: width
            )
        }
        defer { pass.onInput = nil }
        forEachWindow(layer: index) { _ in }
        return moments
    }

    /// Moves the windows on through a layer as its weights now are.
    func advance(layer index: Int) {
        forEachWindow(layer: index) { window in
            window.update(
                from: pass.activations.output,
                count: pass.rows * pass.configuration.hiddenSize
            )
        }
    }

    private func forEachWindow(
        layer index: Int,
        _ body: (UnsafeMutablePointer<Float>) -> Void
    ) {
        let count = pass.rows * pass.configuration.hiddenSize
        for number in 0..<windowCount {
            let window = hidden.pointer + number * count
            pass.activations.layers[index].input.update(from: window, count: count)
            pass.decode(layer: index, into: pass.activations.output)
            body(window)
        }
    }
}
