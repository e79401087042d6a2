internal import Formats
internal import Kernels
internal import Quantization

/// One forward pass of the decoder over `batchSize` sequences of `length` tokens.
final class DecoderPass {
    let weights: LayerWeights
    let activations: ActivationArena
    let attention: CausalAttention
    let rotary: RotaryTable
    let product: MatrixProduct
    let team: ThreadTeam
    let batchSize: Int
    let length: Int
    /// Told the input of each group of linear layers, by the group's first module; for calibration.
    var onInput: ((LinearModule, UnsafePointer<Float>) -> Void)?

    var configuration: ModelConfiguration { weights.configuration }
    var rows: Int { batchSize * length }

    /// `layerSlots`: The layer count to train, 1 for inference.
    init(
        weights: LayerWeights,
        batchSize: Int,
        length: Int,
        layerSlots: Int,
        team: ThreadTeam
    ) {
        self.weights = weights
        self.batchSize = batchSize
        self.length = length
        self.team = team
        product = MatrixProduct(team: team)
        let configuration = weights.configuration
        rotary = RotaryTable(configuration: configuration, positions: length)
        activations = ActivationArena(
            configuration: configuration,
            rows: batchSize * length,
            layerSlots: layerSlots
        )
        attention = CausalAttention(
            configuration: configuration,
            batchSize: batchSize,
            length: length,
            gradients: layerSlots > 1 || configuration.layerCount == 1 ? 1 : 0,
            team: team
        )
    }

    /// Computes `activations.finalNorm` of `rows` tokens, which must be in the vocabulary.
    func forward(_ tokens: UnsafePointer<Int32>) {
        let c = configuration.hiddenSize
        var stream = activations.layers[0].input
        embed(tokens, into: stream)
        for index in 0..<configuration.layerCount {
            let layer = activations.layers[index]
            if layer.input != stream {
                layer.input.update(from: stream, count: rows * c)
            }
            let isLast = index + 1 == configuration.layerCount
            stream = isLast ? activations.output : activations.layers[index + 1].input
            decode(layer: index, into: stream)
        }
        finish()
    }

    /// One decoder layer from its arena slot's input.
    func decode(layer index: Int, into output: UnsafeMutablePointer<Float>) {
        let layer = activations.layers[index]
        attend(index, layer)
        transform(index, layer)
        residual(into: output, from: layer.middle, adding: activations.projection)
    }

    /// `activations.finalNorm` from `activations.output`.
    func finish() {
        norm(
            output: activations.finalNorm,
            inverseRMS: activations.finalInverseRMS,
            input: activations.output,
            weight: weights.norm(weights.finalNormOffset)
        )
    }

    /// The residual stream of tokens before the first layer.
    func embed(_ tokens: UnsafePointer<Int32>, into output: UnsafeMutablePointer<Float>) {
        let c = configuration.hiddenSize
        DecoderKernels.embed(
            output: output,
            table: weights.norm(weights.embeddingOffset),
            tokens: tokens,
            rows: rows,
            width: c
        )
        if let format = weights.embeddingFormat {
            BlockQuantizer.fakeQuantize(
                output,
                into: output,
                rows: rows,
                columns: c,
                format: format,
                amax: weights.embeddingAmax(),
                team: team
            )
        }
    }

    private func attend(_ index: Int, _ layer: ActivationArena.Layer) {
        let c = configuration.hiddenSize
        norm(
            output: layer.attentionNorm,
            inverseRMS: layer.attentionInverseRMS,
            input: layer.input,
            weight: weights.norm(weights.offsets[index].attentionNorm)
        )
        let input = prepared(layer.attentionNorm, width: c)
        onInput?(.query, layer.attentionNorm)
        linear(.query, index, input: input, output: layer.query)
        linear(.key, index, input: input, output: layer.key)
        linear(.value, index, input: input, output: layer.value)
        rotate(layer.query, heads: configuration.headCount)
        rotate(layer.key, heads: configuration.keyValueHeadCount)
        attention.forward(layer)
        onInput?(.output, layer.attention)
        linear(
            .output,
            index,
            input: prepared(layer.attention, width: configuration.queryWidth),
            output: activations.projection
        )
        residual(into: layer.middle, from: layer.input, adding: activations.projection)
    }

    private func transform(_ index: Int, _ layer: ActivationArena.Layer) {
        let f = configuration.intermediateSize
        norm(
            output: layer.mlpNorm,
            inverseRMS: layer.mlpInverseRMS,
            input: layer.middle,
            weight: weights.norm(weights.offsets[index].mlpNorm)
        )
        let input = prepared(layer.mlpNorm, width: configuration.hiddenSize)
        onInput?(.gate, layer.mlpNorm)
        linear(.gate, index, input: input, output: layer.gate)
        linear(.up, index, input: input, output: layer.up)
        activate(layer)
        onInput?(.down, activations.activated)
        linear(
            .down,
            index,
            input: prepared(activations.activated, width: f),
            output: activations.projection
        )
    }

    /// `activations.activated` from a layer's gate and up.
    func activate(_ layer: ActivationArena.Layer) {
        team.parallelFor(count: rows * configuration.intermediateSize, grain: 16) { range in
            DecoderKernels.swiGLU(
                output: activations.activated + range.lowerBound,
                gate: layer.gate + range.lowerBound,
                up: layer.up + range.lowerBound,
                count: range.count
            )
        }
    }

    /// A linear layer's input as the forward pass uses it; valid until the next call.
    func prepared(_ input: UnsafeMutablePointer<Float>, width: Int) -> UnsafePointer<Float> {
        guard let format = weights.recipe.activations else {
            return UnsafePointer(input)
        }
        BlockQuantizer.fakeQuantize(
            input,
            into: activations.quantizedInput,
            rows: rows,
            columns: width,
            format: format,
            team: team
        )
        return UnsafePointer(activations.quantizedInput)
    }

    private func linear(
        _ module: LinearModule,
        _ layer: Int,
        input: UnsafePointer<Float>,
        output: UnsafeMutablePointer<Float>
    ) {
        product.linear(
            output: output,
            input: input,
            weight: weights.effective(module, layer: layer),
            rows: rows,
            inputWidth: module.inputWidth(configuration),
            outputWidth: module.outputWidth(configuration)
        )
    }

    private func norm(
        output: UnsafeMutablePointer<Float>,
        inverseRMS: UnsafeMutablePointer<Float>,
        input: UnsafePointer<Float>,
        weight: UnsafePointer<Float>
    ) {
        let c = configuration.hiddenSize
        team.parallelFor(count: rows) { range in
            DecoderKernels.rmsNorm(
                output: output + range.lowerBound * c,
                inverseRMS: inverseRMS + range.lowerBound,
                input: input + range.lowerBound * c,
                weight: weight,
                rows: range.count,
                width: c,
                epsilon: configuration.rmsNormEpsilon
            )
        }
    }

    private func rotate(_ values: UnsafeMutablePointer<Float>, heads: Int) {
        let width = heads * configuration.headDimension
        team.parallelFor(count: batchSize) { range in
            DecoderKernels.rotate(
                values + range.lowerBound * length * width,
                cosine: rotary.cosine.pointer,
                sine: rotary.sine.pointer,
                rows: range.count * length,
                sequenceLength: length,
                heads: heads,
                headDimension: configuration.headDimension,
                firstPosition: 0
            )
        }
    }

    private func residual(
        into output: UnsafeMutablePointer<Float>,
        from input: UnsafePointer<Float>,
        adding update: UnsafePointer<Float>
    ) {
        team.parallelFor(count: rows * configuration.hiddenSize, grain: 16) { range in
            let start = output + range.lowerBound
            if output != input {
                start.update(from: input + range.lowerBound, count: range.count)
            }
            DecoderKernels.add(start, update + range.lowerBound, count: range.count)
        }
    }
}
