internal import Devices
internal import Formats
internal import Kernels

/// One forward pass of a decoder: over whole sequences, to train and to evaluate, or over the next
/// rows of a sequence whose keys and values are cached, to generate.
final class DecoderPass {
    let weights: LayerWeights
    let activations: ActivationArena
    let attention: any Attention
    let rotary: RotaryTable
    let localRotary: RotaryTable?
    let device: any ComputeDevice
    private let kept: KeptActivations
    /// Rows of the current pass; at most those of the arena.
    private(set) var rows: Int
    /// Told the input of each group of linear layers, by the group's first module; for calibration.
    var onInput: ((LinearModule, DeviceTensor) -> Void)?
    /// Told each layer's keys, rotated, and values before they are rounded; for calibration.
    var onCache: ((_ layer: Int, _ key: DeviceTensor, _ value: DeviceTensor) -> Void)?
    /// The current pass's tokens, int32 `[1, rows]`.
    private let tokenTensor: DeviceTensor
    /// Of the current rows, without their marks.
    private let plainTokens: AlignedBuffer<Int32>
    /// A scalar for magnitudes.
    private let magnitude: DeviceTensor

    var configuration: ModelConfiguration { weights.configuration }
    var architecture: Architecture { configuration.architecture }
    /// The tokens of the current pass.
    var tokens: DeviceTensor { tokenTensor.reshaped(rows: 1, columns: rows) }

    /// A pass of at most `rows` rows, at positions below `positions`.
    ///
    /// `kept`: What the backward pass finds of each layer.
    init(
        weights: LayerWeights,
        attention: any Attention,
        rows: Int,
        positions: Int,
        keeping kept: KeptActivations
    ) {
        self.kept = kept
        self.weights = weights
        self.attention = attention
        self.rows = rows
        let device = weights.device
        self.device = device
        let configuration = weights.configuration
        func table(_ embedding: RotaryEmbedding) -> RotaryTable {
            RotaryTable(
                embedding,
                headDimension: configuration.headDimension,
                positions: positions,
                device: device
            )
        }
        rotary = table(configuration.rotary)
        localRotary = configuration.localRotary.map(table)
        activations = ActivationArena(
            configuration: configuration,
            rows: rows,
            keeping: kept,
            device: device
        )
        tokenTensor = device.tensor(columns: rows, type: .int32)
        plainTokens = AlignedBuffer(count: rows)
        magnitude = device.tensor(columns: 1)
    }

    /// A pass over one window of `length` tokens, whose layers share a slot: for inference.
    convenience init(
        window length: Int,
        weights: LayerWeights,
        documents: DocumentRules? = nil
    ) {
        self.init(
            weights: weights,
            attention: WholeSequences(
                configuration: weights.configuration,
                length: length,
                documents: DocumentMarks(
                    documents,
                    rows: length,
                    length: length,
                    device: weights.device
                ),
                device: weights.device
            ),
            rows: length,
            positions: length,
            keeping: .none
        )
    }

    /// Computes the final norm of all rows' tokens, which must be in the vocabulary.
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
        isFine: (_ layer: Int?, DeviceTensor) -> Bool
    ) -> Bool {
        self.rows = rows
        attention.documents?.set(tokens)
        var stream = layer(0).input
        embed(tokens, into: stream)
        guard isFine(nil, stream) else { return false }
        for index in 0..<configuration.layerCount {
            device.copy(stream, to: layer(index).input)
            let isLast = index + 1 == configuration.layerCount
            stream = isLast ? output : layer(index + 1).input
            decode(layer: index, into: stream)
            activations.keep(layer: index, device: device)
            guard isFine(index, stream) else { return false }
        }
        finish()
        return true
    }

    /// What is kept of a layer, of the current rows.
    func layer(_ index: Int) -> ActivationArena.Layer { activations.layers[index].first(rows) }
    /// The residual stream after the last layer, of the current rows.
    var output: DeviceTensor { activations.output.first(rows) }
    /// The same after any layer, of a pass that keeps every layer.
    func stream(after layer: Int) -> DeviceTensor {
        layer + 1 < configuration.layerCount ? self.layer(layer + 1).input : output
    }
    /// The normalized output, of the current rows.
    var finalNorm: DeviceTensor { activations.finalNorm.first(rows) }
    private var projection: DeviceTensor { activations.projection.first(rows) }
    /// The activated MLP, of the current rows.
    var activated: DeviceTensor { activations.activated.first(rows) }

    /// Makes the rotary frequencies those of a text of `length` tokens, and says whether keys that were
    /// rotated before no longer fit.
    func prepareRotation(length: Int) -> Bool {
        let isStale = rotary.prepare(length: length)
        return localRotary?.prepare(length: length) ?? false || isStale
    }

    /// One decoder layer from its arena slot's input.
    func decode(layer index: Int, into output: DeviceTensor) {
        let layer = layer(index)
        attend(index, layer)
        transform(index, layer)
        residual(into: output, from: layer.middle)
    }

    /// Brings back what the backward pass needs of a layer: what was kept as BF16, or what was not kept
    /// and is computed again, to the bit what it was.
    ///
    /// The last layer's is still there when the backward pass begins.
    func restore(layer index: Int) {
        guard index + 1 < configuration.layerCount else { return }
        switch kept {
        case .all, .none: break
        case .halves: activations.bringBack(layer: index, device: device)
        case .inputs:
            let layer = layer(index)
            attend(index, layer)
            transform(index, layer)
        }
    }

    /// ``finalNorm`` from ``output``.
    func finish() {
        device.normalize(
            output,
            weights.operation(weights.finalNorm),
            statistics: activations.finalStatistics.first(rows),
            into: finalNorm
        )
        roundHeadInput()
    }

    /// The residual stream of tokens before the first layer, as many as `output` has rows.
    func embed(_ tokens: UnsafePointer<Int32>, into output: DeviceTensor) {
        for row in 0..<rows { plainTokens.pointer[row] = MarkedToken.token(tokens[row]) }
        device.upload(plainTokens.pointer, to: self.tokens)
        if let table = weights.packedEmbedding {
            device.embed(self.tokens, packed: table, into: output)
        } else {
            device.embed(self.tokens, table: weights.embedding, into: output)
        }
        if let format = weights.embeddingFormat {
            device.fakeQuantize(
                output,
                .init(format, scale: weights.embeddingScale(format)),
                into: output
            )
        }
        device.scale(output, by: architecture.embeddingMultiplier)
    }

    private func attend(_ index: Int, _ layer: ActivationArena.Layer) {
        normalize(.attentionInput, index, layer, into: layer.attentionInput)
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
        normalize(.query, index, layer, into: layer.query)
        normalize(.key, index, layer, into: layer.key)
        rotate(layer.query, layer: index, isInverse: false)
        rotate(layer.key, layer: index, isInverse: false)
        roundCache(index, layer)
        attention.forward(layer: index, slot: layer)
        onInput?(.output, layer.attention)
        linear(
            .output,
            index,
            input: prepared(.output, index, layer.attention),
            output: layer.norm(.attentionOutput)?.input ?? projection
        )
        normalize(.attentionOutput, index, layer, into: projection)
        residual(into: layer.middle, from: layer.input)
    }

    private func transform(_ index: Int, _ layer: ActivationArena.Layer) {
        normalize(.mlpInput, index, layer, into: layer.mlpInput)
        let source = layer.mlpInput
        onInput?(architecture.hasGate ? .gate : .up, source)
        if architecture.hasGate {
            linear(.gate, index, input: prepared(.gate, index, source), output: layer.gate)
        }
        let gate: LinearModule? = architecture.hasGate ? .gate : nil
        linear(.up, index, input: prepared(.up, index, source, after: gate), output: layer.up)
        activate(layer)
        onInput?(.down, activated)
        linear(
            .down,
            index,
            input: prepared(.down, index, activated),
            output: layer.norm(.mlpOutput)?.input ?? projection
        )
        normalize(.mlpOutput, index, layer, into: projection)
    }

    /// ``activated`` from a layer's gate and up.
    func activate(_ layer: ActivationArena.Layer) {
        device.activate(architecture.activation.kernel, gated(layer))
    }

    /// An MLP's inner tensors.
    func gated(_ layer: ActivationArena.Layer) -> GatedTensors {
        GatedTensors(
            gate: architecture.hasGate ? layer.gate : nil,
            up: layer.up,
            output: activated
        )
    }

    private func linear(
        _ module: LinearModule,
        _ layer: Int,
        input: DeviceTensor,
        output: DeviceTensor
    ) {
        let weight = weights.operand(module, layer: layer)
        device.multiply(.forward(input: input, weight: weight, output: output))
        if let bias = weights.bias(module, layer: layer) { device.addBias(bias, to: output) }
    }

    /// Nothing where the architecture has no norm there.
    private func normalize(
        _ site: NormSite,
        _ index: Int,
        _ layer: ActivationArena.Layer,
        into output: DeviceTensor
    ) {
        guard let kept = layer.norm(site), let norm = weights.norm(site, layer: index) else {
            return
        }
        device.normalize(
            kept.input,
            weights.operation(norm),
            statistics: kept.statistics,
            into: output
        )
    }

    /// Rotates the heads of all rows, or turns them back; nothing where a layer has no rotation.
    func rotate(_ values: DeviceTensor, layer: Int, isInverse: Bool) {
        guard let table = rotaryTable(layer: layer) else { return }
        device.rotate(
            values,
            RotationOperation(
                cosine: table.cosine,
                sine: table.sine,
                sequenceLength: attention.sequenceLength(rows: rows),
                firstPosition: attention.firstPosition,
                headDimension: configuration.headDimension,
                positions: attention.positions
            ),
            isInverse: isInverse
        )
    }

    private func rotaryTable(layer: Int) -> RotaryTable? {
        switch configuration.attention(ofLayer: layer).rotation {
        case .none: nil
        case .global: rotary
        case .local: localRotary
        }
    }

    private func residual(into output: DeviceTensor, from input: DeviceTensor) {
        device.scale(projection, by: architecture.residualMultiplier)
        device.add(projection, and: input, into: output)
    }

    /// The largest magnitude of a tensor; NaN or infinity if any element is.
    func amax(_ tensor: DeviceTensor) -> Float {
        device.maximumMagnitude(of: tensor, into: magnitude, accumulating: false)
        return device.value(of: magnitude)
    }
}
