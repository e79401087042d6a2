internal import Formats
internal import Kernels
internal import Quantization

/// One forward pass of a decoder: over whole sequences, to train and to evaluate, or over the next
/// rows of a sequence whose keys and values are cached, to generate.
final class DecoderPass {
    let weights: LayerWeights
    let activations: ActivationArena
    let attention: any Attention
    let rotary: RotaryTable
    let localRotary: RotaryTable?
    let product: MatrixProduct
    let team: ThreadTeam
    /// Rows of the current pass; at most those of the arena.
    private(set) var rows: Int
    /// Told the input of each group of linear layers, by the group's first module; for calibration.
    var onInput: ((LinearModule, UnsafePointer<Float>) -> Void)?

    var configuration: ModelConfiguration { weights.configuration }
    var architecture: Architecture { configuration.architecture }

    /// A pass of at most `rows` rows, at positions below `positions`.
    ///
    /// `layerSlots`: The layer count to train, 1 for inference. `operands`: What linear layers multiply.
    init(
        weights: LayerWeights,
        attention: any Attention,
        rows: Int,
        positions: Int,
        layerSlots: Int,
        operands: OperandPrecision = .float32,
        team: ThreadTeam
    ) {
        self.weights = weights
        self.attention = attention
        self.rows = rows
        self.team = team
        product = MatrixProduct(team: team, operands: operands)
        let configuration = weights.configuration
        func table(_ embedding: RotaryEmbedding) -> RotaryTable {
            RotaryTable(
                embedding,
                headDimension: configuration.headDimension,
                positions: positions
            )
        }
        rotary = table(configuration.rotary)
        localRotary = configuration.localRotary.map(table)
        activations = ActivationArena(
            configuration: configuration,
            rows: rows,
            layerSlots: layerSlots
        )
    }

    /// A pass over one window of `length` tokens, whose layers share a slot: for inference.
    convenience init(window length: Int, weights: LayerWeights, team: ThreadTeam) {
        let attention = CausalAttention(
            configuration: weights.configuration,
            batchSize: 1,
            length: length,
            keepsGradients: false,
            team: team
        )
        self.init(
            weights: weights,
            attention: attention,
            rows: length,
            positions: length,
            layerSlots: 1,
            team: team
        )
    }

    /// Computes `activations.finalNorm` of all rows' tokens, which must be in the vocabulary.
    func forward(_ tokens: UnsafePointer<Int32>) { forward(tokens, rows: activations.rows) }

    /// The same of fewer rows.
    func forward(_ tokens: UnsafePointer<Int32>, rows: Int) {
        _ = forward(tokens, rows: rows) { _, _ in true }
    }

    /// The same, as long as `isFine` says so of the residual stream after each layer, or after the
    /// embedding (nil); returns whether it did to the end.
    func forward(
        _ tokens: UnsafePointer<Int32>,
        rows: Int,
        isFine: (_ layer: Int?, UnsafePointer<Float>) -> Bool
    ) -> Bool {
        self.rows = rows
        let c = configuration.hiddenSize
        var stream = activations.layers[0].input
        embed(tokens, into: stream)
        guard isFine(nil, stream) else { return false }
        for index in 0..<configuration.layerCount {
            let layer = activations.layers[index]
            if layer.input != stream {
                layer.input.update(from: stream, count: rows * c)
            }
            let isLast = index + 1 == configuration.layerCount
            stream = isLast ? activations.output : activations.layers[index + 1].input
            decode(layer: index, into: stream)
            guard isFine(index, stream) else { return false }
        }
        finish()
        return true
    }

    /// Makes the rotary frequencies those of a text of `length` tokens, and says whether keys that were
    /// rotated before no longer fit.
    func prepareRotation(length: Int) -> Bool {
        let isStale = rotary.prepare(length: length)
        return localRotary?.prepare(length: length) ?? false || isStale
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
        NormLayer(
            weights.finalNorm,
            of: configuration,
            tokens: rows,
            width: configuration.hiddenSize
        ).forward(
            activations.output,
            into: activations.finalNorm,
            statistics: activations.finalStatistics,
            weights: weights,
            team: team
        )
        roundHeadInput()
    }

    /// The residual stream of tokens before the first layer.
    func embed(_ tokens: UnsafePointer<Int32>, into output: UnsafeMutablePointer<Float>) {
        let c = configuration.hiddenSize
        DecoderKernels.embed(
            output: output,
            table: weights.embedding,
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
        scale(output, by: architecture.embeddingMultiplier, count: rows * c)
    }

    private func attend(_ index: Int, _ layer: ActivationArena.Layer) {
        normalize(.attentionInput, index, into: layer.attentionInput)
        onInput?(.query, layer.attentionInput)
        let query = layer.norm(.query)?.input ?? layer.query
        let key = layer.norm(.key)?.input ?? layer.key
        let source = layer.attentionInput
        linear(.query, index, input: prepared(.query, index, source), output: query)
        linear(.key, index, input: prepared(.key, index, source, after: .query), output: key)
        linear(
            .value,
            index,
            input: prepared(.value, index, source, after: .key),
            output: layer.value
        )
        normalize(.query, index, into: layer.query)
        normalize(.key, index, into: layer.key)
        rotate(layer.query, heads: configuration.headCount, layer: index)
        rotate(layer.key, heads: configuration.keyValueHeadCount, layer: index)
        roundCache(index, layer)
        attention.forward(layer: index, slot: layer, rows: rows)
        onInput?(.output, layer.attention)
        linear(
            .output,
            index,
            input: prepared(.output, index, layer.attention),
            output: layer.norm(.attentionOutput)?.input ?? activations.projection
        )
        normalize(.attentionOutput, index, into: activations.projection)
        residual(into: layer.middle, from: layer.input, adding: activations.projection)
    }

    private func transform(_ index: Int, _ layer: ActivationArena.Layer) {
        normalize(.mlpInput, index, into: layer.mlpInput)
        let source = layer.mlpInput
        onInput?(architecture.hasGate ? .gate : .up, source)
        if architecture.hasGate {
            linear(.gate, index, input: prepared(.gate, index, source), output: layer.gate)
        }
        let gate: LinearModule? = architecture.hasGate ? .gate : nil
        linear(.up, index, input: prepared(.up, index, source, after: gate), output: layer.up)
        activate(layer)
        onInput?(.down, activations.activated)
        linear(
            .down,
            index,
            input: prepared(.down, index, activations.activated),
            output: layer.norm(.mlpOutput)?.input ?? activations.projection
        )
        normalize(.mlpOutput, index, into: activations.projection)
    }

    /// `activations.activated` from a layer's gate and up.
    func activate(_ layer: ActivationArena.Layer) {
        let activation = architecture.activation.kernel
        let gate = architecture.hasGate ? layer.gate : nil
        team.parallelFor(count: rows * configuration.intermediateSize, grain: 16) { range in
            DecoderKernels.activate(
                activation,
                output: activations.activated + range.lowerBound,
                gate: gate.map { UnsafePointer($0 + range.lowerBound) },
                up: layer.up + range.lowerBound,
                count: range.count
            )
        }
    }

    /// Which rotary table turns a layer's queries and keys; nil where none does.
    func rotaryTable(layer: Int) -> RotaryTable? {
        switch configuration.attention(ofLayer: layer).rotation {
        case .none: nil
        case .global: rotary
        case .local: localRotary
        }
    }

    private func linear(
        _ module: LinearModule,
        _ layer: Int,
        input: UnsafePointer<Float>,
        output: UnsafeMutablePointer<Float>
    ) {
        let width = module.outputWidth(configuration)
        product.linear(
            output: output,
            input: input,
            weight: weights.effective(module, layer: layer),
            rows: rows,
            inputWidth: module.inputWidth(configuration),
            outputWidth: width
        )
        guard let bias = weights.bias(module, layer: layer) else { return }
        team.parallelFor(count: rows) { range in
            for row in range { DecoderKernels.add(output + row * width, bias, count: width) }
        }
    }

    /// Nothing where the architecture has no norm there.
    private func normalize(
        _ site: NormSite,
        _ index: Int,
        into output: UnsafeMutablePointer<Float>
    ) {
        guard let kept = activations.layers[index].norm(site), let layer = norm(site, index) else {
            return
        }
        layer.forward(
            kept.input,
            into: output,
            statistics: kept.statistics,
            weights: weights,
            team: team
        )
    }

    /// A layer's norm; nil where the architecture has none there.
    func norm(_ site: NormSite, _ index: Int) -> NormLayer? {
        weights.layers[index].norms[site.rawValue].map { norm in
            let width =
                switch site {
                case .query: configuration.queryWidth
                case .key: configuration.keyValueWidth
                default: configuration.hiddenSize
                }
            return NormLayer(norm, of: configuration, tokens: rows, width: width)
        }
    }

    private func rotate(_ values: UnsafeMutablePointer<Float>, heads: Int, layer: Int) {
        guard let table = rotaryTable(layer: layer) else { return }
        turn(values, heads: heads, table: table, DecoderKernels.rotate)
    }

    /// Rotates the heads of all rows, or turns them back.
    func turn(
        _ values: UnsafeMutablePointer<Float>,
        heads: Int,
        table: RotaryTable,
        _ kernel: (UnsafeMutablePointer<Float>, DecoderKernels.Rotation) -> Void
    ) {
        let width = heads * configuration.headDimension
        let length = attention.sequenceLength(rows: rows)
        // By whole sequences, so that each row knows its position.
        team.parallelFor(count: rows / length) { range in
            kernel(
                values + range.lowerBound * length * width,
                DecoderKernels.Rotation(
                    cosine: table.cosine.pointer,
                    sine: table.sine.pointer,
                    rows: range.count * length,
                    sequenceLength: length,
                    firstPosition: attention.firstPosition,
                    heads: heads,
                    headDimension: configuration.headDimension,
                    rotatedDimension: table.dimension
                )
            )
        }
    }

    private func residual(
        into output: UnsafeMutablePointer<Float>,
        from input: UnsafePointer<Float>,
        adding update: UnsafeMutablePointer<Float>
    ) {
        let count = rows * configuration.hiddenSize
        scale(update, by: architecture.residualMultiplier, count: count)
        team.parallelFor(count: count, grain: 16) { range in
            let start = output + range.lowerBound
            if output != input {
                start.update(from: input + range.lowerBound, count: range.count)
            }
            DecoderKernels.add(start, update + range.lowerBound, count: range.count)
        }
    }

    /// Multiplies in place; by 1, does nothing.
    func scale(_ values: UnsafeMutablePointer<Float>, by factor: Float, count: Int) {
        guard factor != 1 else { return }
        team.parallelFor(count: count, grain: 16) { range in
            DecoderKernels.scale(values + range.lowerBound, by: factor, count: range.count)
        }
    }
}
