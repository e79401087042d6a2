internal import Formats
internal import Kernels
internal import Quantization

/// Carries calibration windows through a model layer by layer, so that each layer is calibrated on
/// what the rounded layers before it put out.
///
/// Not for concurrent use.
final class LayerwisePass {
    /// What is known of the inputs that a group of linear modules shares.
    struct Inputs {
        /// The sum of `x · xᵀ`, `[width, width]`.
        let moments: AlignedBuffer<Float>
        /// Largest magnitude by channel.
        let amax: AlignedBuffer<Float>
        /// Inputs observed.
        var count = 0
    }

    private let pass: DecoderPass
    private let product: MatrixProduct
    private let team: ThreadTeam
    private let hidden: AlignedBuffer<Float>
    private let windowCount: Int
    private var inputs: [LinearModule: Inputs]
    /// What ``advance(layer:)`` has seen.
    private(set) var ranges = ActivationRanges()

    /// Embeds `windowCount` windows of `length` tokens, which must be in the vocabulary.
    init(
        parameters: Parameters,
        windows: CalibrationWindows,
        team: ThreadTeam
    ) throws {
        let (count, length) = (windows.count, windows.length)
        self.team = team
        let weights = try LayerWeights(parameters: parameters, recipe: .none, team: team)
        pass = DecoderPass(window: length, weights: weights, team: team)
        product = MatrixProduct(team: team)
        windowCount = count
        let configuration = parameters.configuration
        let width = configuration.hiddenSize
        hidden = AlignedBuffer(count: count * length * width)
        inputs = Dictionary(
            uniqueKeysWithValues: configuration.inputGroups.map { group in
                let columns = group.inputWidth(configuration)
                return (
                    group,
                    Inputs(
                        moments: AlignedBuffer(count: columns * columns),
                        amax: AlignedBuffer(count: columns)
                    )
                )
            }
        )
        windows.tokens.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            for window in 0..<count {
                pass.embed(
                    start + window * length,
                    into: hidden.pointer + window * length * width
                )
            }
        }
    }

    /// What a layer's inputs are, by the first module of each group; valid until the next call.
    func observe(layer index: Int) -> [LinearModule: Inputs] {
        for group in inputs.keys {
            inputs[group]?.count = 0
            inputs[group]?.moments.elements.update(repeating: 0)
            inputs[group]?.amax.elements.update(repeating: 0)
        }
        pass.onInput = { [self] group, input in
            guard let sums = inputs[group] else { return }
            let width = group.inputWidth(pass.configuration)
            product.linearWeightGradient(
                sums.moments.pointer,
                outputGradient: input,
                input: input,
                rows: pass.rows,
                inputWidth: width,
                outputWidth: width
            )
            team.parallelFor(count: width, grain: 16) { range in
                for row in 0..<pass.rows {
                    let start = input + row * width
                    for column in range {
                        sums.amax.pointer[column] =
                            max(sums.amax.pointer[column], abs(start[column]))
                    }
                }
            }
            inputs[group]?.count += pass.rows
        }
        defer { pass.onInput = nil }
        forEachWindow(layer: index) { _ in }
        return inputs
    }

    /// Moves the windows on through a layer as its weights now are, and records its ranges.
    func advance(layer index: Int) {
        pass.onInput = { [self] group, input in
            let count = pass.rows * group.inputWidth(pass.configuration)
            let amax = BlockQuantizer.amax(input, count: count, team: team)
            ranges.record(
                pass.configuration.modules(sharingInputOf: group),
                layer: index,
                amax: amax
            )
        }
        defer { pass.onInput = nil }
        let count = pass.rows * pass.configuration.keyValueWidth
        forEachWindow(layer: index) { window in
            window.update(
                from: pass.activations.output,
                count: pass.rows * pass.configuration.hiddenSize
            )
            let layer = pass.activations.layers[index]
            ranges.recordKeys(
                BlockQuantizer.amax(layer.key, count: count, team: team),
                values: BlockQuantizer.amax(layer.value, count: count, team: team),
                layer: index
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
