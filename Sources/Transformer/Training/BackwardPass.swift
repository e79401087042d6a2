internal import Devices
internal import Formats

/// The backward pass of a ``DecoderPass`` that kept its activations.
///
/// Fake quantization is passed straight through: a weight's gradient is that of its rounded value,
/// zeroed where the recipe's estimator clips.
final class BackwardPass {
    private let pass: DecoderPass
    private let attention: WholeSequences
    private let gradients: GradientArena
    private let adapters: Adapters?
    private let clips: InputClips?
    private let buffers: GradientBuffers
    private let reduction: GradientReduction?

    private var weights: LayerWeights { pass.weights }
    private var configuration: ModelConfiguration { pass.configuration }
    private var architecture: Architecture { pass.architecture }
    private var device: any ComputeDevice { pass.device }

    init(
        pass: DecoderPass,
        attention: WholeSequences,
        gradients: GradientArena,
        adapters: Adapters? = nil,
        clips: InputClips? = nil,
        reduction: GradientReduction? = nil
    ) {
        self.adapters = adapters
        self.reduction = reduction
        self.clips = clips
        self.pass = pass
        self.attention = attention
        self.gradients = gradients
        buffers = GradientBuffers(
            configuration: pass.configuration,
            rows: pass.rows,
            device: pass.device
        )
    }

    /// Adds all parameters' gradients, from `finalNormGradient` `[rows, hidden]` down to the
    /// embedding.
    ///
    /// `streamGradients`: Of a loss on the residual stream after each layer, `[layers · rows, hidden]`.
    /// `onLayer`: Told each layer whose gradients, and those of all behind it, are complete.
    func run(
        finalNormGradient: DeviceTensor,
        streamGradients: DeviceTensor? = nil,
        onLayer: (Int) -> Void = { _ in }
    ) {
        device.clear(buffers.stream)
        addNorm(
            weights.finalNorm,
            .init(
                input: pass.activations.output,
                statistics: pass.activations.finalStatistics
            ),
            outputGradient: finalNormGradient,
            to: buffers.stream
        )
        for index in (0..<configuration.layerCount).reversed() {
            let layer = pass.layer(index)
            if let streamGradients {
                let rows = index * pass.rows..<(index + 1) * pass.rows
                device.add(streamGradients.rows(rows), to: buffers.stream)
            }
            pass.restore(layer: index)
            transformBackward(index, layer)
            attendBackward(index, layer)
            onLayer(index)
        }
        if let table = gradients.gradient(of: weights.parameters.layout.embedding) {
            device.scale(buffers.stream, by: architecture.embeddingMultiplier)
            device.embedGradient(pass.tokens, outputGradient: buffers.stream, into: table)
        }
    }

    /// Adds the gradients of one layer's parameters, of which the pass has just computed the layer, from
    /// its output's, `[rows, hidden]`.
    func run(layer index: Int, outputGradient: DeviceTensor) {
        device.copy(outputGradient, to: buffers.stream)
        let layer = pass.layer(index)
        transformBackward(index, layer)
        attendBackward(index, layer)
    }

    private func transformBackward(_ index: Int, _ layer: ActivationArena.Layer) {
        pass.activate(layer)
        linearBackward(
            .down,
            index,
            input: pass.prepared(.down, index, pass.activated),
            outputGradient: outputGradient(.mlpOutput, index, layer),
            inputGradient: buffers.activated,
            isAccumulating: false
        )
        clips?.passGradient(buffers.activated, source: pass.activated, .down, layer: index)
        device.activateGradient(
            architecture.activation.kernel,
            pass.gated(layer),
            gradients: GatedTensors(
                gate: architecture.hasGate ? buffers.gate : nil,
                up: buffers.up,
                output: buffers.activated
            )
        )
        if architecture.hasGate {
            linearBackward(
                .gate,
                index,
                input: pass.prepared(.gate, index, layer.mlpInput),
                outputGradient: buffers.gate,
                inputGradient: buffers.branch,
                isAccumulating: false
            )
        }
        let gate: LinearModule? = architecture.hasGate ? .gate : nil
        linearBackward(
            .up,
            index,
            input: pass.prepared(.up, index, layer.mlpInput, after: gate),
            outputGradient: buffers.up,
            inputGradient: buffers.branch,
            isAccumulating: architecture.hasGate
        )
        clips?.passGradient(buffers.branch, source: layer.mlpInput, gate ?? .up, layer: index)
        joinStream(.mlpInput, index, layer)
    }

    private func attendBackward(_ index: Int, _ layer: ActivationArena.Layer) {
        linearBackward(
            .output,
            index,
            input: pass.prepared(.output, index, layer.attention),
            outputGradient: outputGradient(.attentionOutput, index, layer),
            inputGradient: buffers.attention,
            isAccumulating: false
        )
        clips?.passGradient(buffers.attention, source: layer.attention, .output, layer: index)
        attention.backward(
            layer: index,
            slot: layer,
            gradients: AttentionTensors(
                query: buffers.query,
                key: buffers.key,
                value: buffers.value,
                output: buffers.attention
            )
        )
        pass.rotate(buffers.query, layer: index, isInverse: true)
        pass.rotate(buffers.key, layer: index, isInverse: true)
        let query = projectionGradient(.query, index, layer, of: buffers.query)
        let key = projectionGradient(.key, index, layer, of: buffers.key)
        projectionBackward(.query, index, layer, query, after: nil)
        projectionBackward(.key, index, layer, key, after: .query)
        projectionBackward(.value, index, layer, buffers.value, after: .key)
        clips?.passGradient(
            buffers.branch,
            source: layer.attentionInput,
            .query,
            layer: index
        )
        joinStream(.attentionInput, index, layer)
    }

    private func projectionBackward(
        _ module: LinearModule,
        _ index: Int,
        _ layer: ActivationArena.Layer,
        _ gradient: DeviceTensor,
        after previous: LinearModule?
    ) {
        linearBackward(
            module,
            index,
            input: pass.prepared(module, index, layer.attentionInput, after: previous),
            outputGradient: gradient,
            inputGradient: buffers.branch,
            isAccumulating: previous != nil
        )
    }

    /// The gradient of what attention's or the MLP's last linear module puts out, from the residual
    /// stream's.
    private func outputGradient(
        _ site: NormSite,
        _ index: Int,
        _ layer: ActivationArena.Layer
    ) -> DeviceTensor {
        var found = buffers.stream
        if architecture.residualMultiplier != 1 {
            device.copy(found, to: buffers.scaled)
            found = buffers.scaled
            device.scale(found, by: architecture.residualMultiplier)
        }
        guard let norm = weights.norm(site, layer: index), let kept = layer.norm(site) else {
            return found
        }
        device.clear(buffers.output)
        addNorm(norm, kept, outputGradient: found, to: buffers.output)
        return buffers.output
    }

    /// The gradient of a projection whose norm's output has the gradient `gradient`.
    private func projectionGradient(
        _ site: NormSite,
        _ index: Int,
        _ layer: ActivationArena.Layer,
        of gradient: DeviceTensor
    ) -> DeviceTensor {
        guard let norm = weights.norm(site, layer: index), let kept = layer.norm(site) else {
            return gradient
        }
        let found = site == .query ? buffers.queryProjection : buffers.keyProjection
        device.clear(found)
        addNorm(norm, kept, outputGradient: gradient, to: found)
        return found
    }

    /// Adds the gradient of a branch's input, ``GradientBuffers/branch``, to the residual stream's.
    private func joinStream(_ site: NormSite, _ index: Int, _ layer: ActivationArena.Layer) {
        if let norm = weights.norm(site, layer: index), let kept = layer.norm(site) {
            addNorm(norm, kept, outputGradient: buffers.branch, to: buffers.stream)
        } else {
            device.add(buffers.branch, to: buffers.stream)
        }
    }

    /// Adds to the gradients of a norm's input and of its parameters.
    private func addNorm(
        _ norm: ParameterLayout.Module,
        _ kept: ActivationArena.Norm,
        outputGradient: DeviceTensor,
        to inputGradient: DeviceTensor
    ) {
        device.normGradient(
            weights.operation(norm),
            NormGradientOperation(
                input: kept.input,
                statistics: kept.statistics,
                outputGradient: outputGradient,
                inputGradient: inputGradient,
                weightGradient: gradients.gradient(of: norm.weight),
                biasGradient: norm.bias.flatMap(gradients.gradient)
            )
        )
    }

    private func linearBackward(
        _ module: LinearModule,
        _ layer: Int,
        input: DeviceTensor,
        outputGradient: DeviceTensor,
        inputGradient: DeviceTensor,
        isAccumulating: Bool
    ) {
        let parameters = weights.module(module, layer: layer)
        if let gradient = parameters.flatMap({ gradients.gradient(of: $0.weight) }) {
            device.multiply(
                .weightGradient(
                    outputGradient: outputGradient,
                    input: input,
                    weightGradient: gradient
                )
            )
        }
        adapters?.addGradients(
            module,
            layer,
            input: input,
            outputGradient: outputGradient,
            weights: weights
        )
        if let gradient = parameters?.bias.flatMap(gradients.gradient) {
            device.addColumnSums(of: outputGradient, to: gradient)
        }
        device.multiply(
            .inputGradient(
                outputGradient: outputGradient,
                weight: weights.operand(module, layer: layer),
                inputGradient: inputGradient,
                isAccumulating: isAccumulating
            )
        )
        // Buckets of the layers behind this one are on their way.
        reduction?.advance()
    }

    /// Adds the gradient of `factor · Σ (w - Q(w))²` over the rounded weights of some layers, whose centres
    /// Q(w) stand still and which count nothing where they saturate.
    ///
    /// - SeeAlso: Nagel et al. 2022, arXiv:2203.11086, "oscillation dampening".
    func dampen(by factor: Float, layers: Range<Int>) {
        for layer in layers {
            for module in LinearModule.allCases {
                guard let entry = weights.module(module, layer: layer)?.weight else { continue }
                let gradient = gradients.gradient(of: entry)
                guard gradient != nil || adapters?.has(module, layer) == true,
                    let distance = weights.distance(module, layer: layer)
                else { continue }
                guard let gradient else {
                    adapters?.addGradients(module, layer, ofWeight: distance, times: 2 * factor)
                    continue
                }
                device.scale(distance, by: 2 * factor)
                device.add(distance, to: gradient)
            }
        }
    }

    /// Zeroes weight gradients of some layers where the forward pass saturated, if the recipe's estimator
    /// clips.
    func clipSaturated(layers: Range<Int>) {
        guard weights.recipe.straightThrough == .clip else { return }
        for layer in layers {
            for module in LinearModule.allCases {
                guard let format = weights.format(module, layer: layer),
                    let entry = weights.module(module, layer: layer)?.weight,
                    let gradient = gradients.gradient(of: entry)
                else { continue }
                device.maskSaturated(
                    gradient,
                    source: weights.tensor(entry),
                    weights.rounding(module, layer, format)
                )
            }
        }
    }
}
