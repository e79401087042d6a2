internal import Formats
internal import Kernels
internal import Quantization

/// The backward pass of a ``DecoderPass`` that kept its activations.
///
/// Fake quantization is passed straight through: a weight's gradient is that of its rounded value,
/// zeroed where the recipe's estimator clips.
final class BackwardPass {
    private let pass: DecoderPass
    private let attention: CausalAttention
    private let gradients: GradientArena
    private let buffers: GradientBuffers
    private let normGradient: NormGradient

    private var weights: LayerWeights { pass.weights }
    private var configuration: ModelConfiguration { pass.configuration }
    private var architecture: Architecture { pass.architecture }
    private var team: ThreadTeam { pass.team }
    private var hiddenCount: Int { pass.rows * configuration.hiddenSize }

    init(pass: DecoderPass, attention: CausalAttention, gradients: GradientArena) {
        self.pass = pass
        self.attention = attention
        self.gradients = gradients
        buffers = GradientBuffers(configuration: pass.configuration, rows: pass.rows)
        normGradient = NormGradient(pass: pass, gradients: gradients)
    }

    /// Adds all parameters' gradients, from `finalNormGradient` `[rows, hidden]` down to the
    /// embedding.
    func run(finalNormGradient: UnsafePointer<Float>, tokens: UnsafePointer<Int32>) {
        buffers.stream.update(repeating: 0, count: hiddenCount)
        normGradient.add(
            NormLayer(
                weights.finalNorm,
                of: configuration,
                tokens: pass.rows,
                width: configuration.hiddenSize
            ),
            kept: .init(
                input: pass.activations.output,
                statistics: pass.activations.finalStatistics
            ),
            outputGradient: finalNormGradient,
            into: buffers.stream
        )
        for index in (0..<configuration.layerCount).reversed() {
            let layer = pass.activations.layers[index]
            transformBackward(index, layer)
            attendBackward(index, layer)
        }
        if let table = gradients.gradient(ofParameterAt: weights.embeddingOffset) {
            pass.scale(
                buffers.stream,
                by: architecture.embeddingMultiplier,
                count: hiddenCount
            )
            DecoderKernels.embedGradient(
                tableGradient: table,
                outputGradient: buffers.stream,
                tokens: tokens,
                rows: pass.rows,
                width: configuration.hiddenSize
            )
        }
    }

    private func transformBackward(_ index: Int, _ layer: ActivationArena.Layer) {
        pass.activate(layer)
        linearBackward(
            .down,
            index,
            input: pass.prepared(.down, index, pass.activations.activated),
            outputGradient: outputGradient(.mlpOutput, index),
            inputGradient: buffers.activated,
            accumulating: 0
        )
        activateBackward(layer)
        if architecture.hasGate {
            linearBackward(
                .gate,
                index,
                input: pass.prepared(.gate, index, layer.mlpInput),
                outputGradient: buffers.gate,
                inputGradient: buffers.branch,
                accumulating: 0
            )
        }
        linearBackward(
            .up,
            index,
            input: pass.prepared(
                .up,
                index,
                layer.mlpInput,
                after: architecture.hasGate ? .gate : nil
            ),
            outputGradient: buffers.up,
            inputGradient: buffers.branch,
            accumulating: architecture.hasGate ? 1 : 0
        )
        joinStream(.mlpInput, index)
    }

    private func activateBackward(_ layer: ActivationArena.Layer) {
        let activation = architecture.activation.kernel
        let hasGate = architecture.hasGate
        team.parallelFor(count: pass.rows * configuration.intermediateSize, grain: 16) { range in
            let start = range.lowerBound
            DecoderKernels.activateGradient(
                activation,
                gateGradient: hasGate ? buffers.gate + start : nil,
                upGradient: buffers.up + start,
                outputGradient: buffers.activated + start,
                gate: hasGate ? UnsafePointer(layer.gate + start) : nil,
                up: layer.up + start,
                count: range.count
            )
        }
    }

    private func attendBackward(_ index: Int, _ layer: ActivationArena.Layer) {
        linearBackward(
            .output,
            index,
            input: pass.prepared(.output, index, layer.attention),
            outputGradient: outputGradient(.attentionOutput, index),
            inputGradient: buffers.attention,
            accumulating: 0
        )
        attention.backward(
            layer: index,
            slot: layer,
            gradients: .init(
                attention: buffers.attention,
                query: buffers.query,
                key: buffers.key,
                value: buffers.value
            )
        )
        if let table = pass.rotaryTable(layer: index) {
            let unrotate = DecoderKernels.unrotate
            pass.turn(buffers.query, heads: configuration.headCount, table: table, unrotate)
            pass.turn(buffers.key, heads: configuration.keyValueHeadCount, table: table, unrotate)
        }
        let query = projectionGradient(.query, index, of: buffers.query)
        let key = projectionGradient(.key, index, of: buffers.key)
        let modules: [(LinearModule, UnsafeMutablePointer<Float>)] = [
            (.query, query), (.key, key), (.value, buffers.value),
        ]
        var previous: LinearModule?
        for (module, gradient) in modules {
            defer { previous = module }
            linearBackward(
                module,
                index,
                input: pass.prepared(module, index, layer.attentionInput, after: previous),
                outputGradient: gradient,
                inputGradient: buffers.branch,
                accumulating: module == .query ? 0 : 1
            )
        }
        joinStream(.attentionInput, index)
    }

    /// The gradient of what attention's or the MLP's last linear module puts out, from the residual
    /// stream's.
    private func outputGradient(_ site: NormSite, _ index: Int) -> UnsafePointer<Float> {
        let multiplier = architecture.residualMultiplier
        var found = UnsafePointer(buffers.stream)
        if multiplier != 1 {
            buffers.scaled.update(from: buffers.stream, count: hiddenCount)
            pass.scale(buffers.scaled, by: multiplier, count: hiddenCount)
            found = UnsafePointer(buffers.scaled)
        }
        guard let norm = pass.norm(site, index),
            let kept = pass.activations.layers[index].norm(site)
        else { return found }
        buffers.output.update(repeating: 0, count: hiddenCount)
        normGradient.add(norm, kept: kept, outputGradient: found, into: buffers.output)
        return UnsafePointer(buffers.output)
    }

    /// The gradient of a projection whose norm's output has the gradient `gradient`.
    private func projectionGradient(
        _ site: NormSite,
        _ index: Int,
        of gradient: UnsafeMutablePointer<Float>
    ) -> UnsafeMutablePointer<Float> {
        guard let norm = pass.norm(site, index),
            let kept = pass.activations.layers[index].norm(site)
        else { return gradient }
        let found = site == .query ? buffers.queryProjection : buffers.keyProjection
        found.update(repeating: 0, count: norm.rows * norm.norm.width)
        normGradient.add(norm, kept: kept, outputGradient: gradient, into: found)
        return found
    }

    /// Adds the gradient of a branch's input, ``GradientBuffers/branch``, to the residual stream's.
    private func joinStream(_ site: NormSite, _ index: Int) {
        if let norm = pass.norm(site, index),
            let kept = pass.activations.layers[index].norm(site)
        {
            normGradient.add(
                norm,
                kept: kept,
                outputGradient: buffers.branch,
                into: buffers.stream
            )
        } else {
            team.parallelFor(count: hiddenCount, grain: 16) { range in
                DecoderKernels.add(
                    buffers.stream + range.lowerBound,
                    buffers.branch + range.lowerBound,
                    count: range.count
                )
            }
        }
    }

    private func linearBackward(
        _ module: LinearModule,
        _ layer: Int,
        input: UnsafePointer<Float>,
        outputGradient: UnsafePointer<Float>,
        inputGradient: UnsafeMutablePointer<Float>,
        accumulating: Float
    ) {
        let inputWidth = module.inputWidth(configuration)
        let outputWidth = module.outputWidth(configuration)
        let offsets = weights.layers[layer]
        if let weightGradient = gradients.gradient(
            ofParameterAt: offsets.linear[module.rawValue]
        ) {
            pass.product.linearWeightGradient(
                weightGradient,
                outputGradient: outputGradient,
                input: input,
                rows: pass.rows,
                inputWidth: inputWidth,
                outputWidth: outputWidth
            )
        }
        if let offset = offsets.biases[module.rawValue],
            let biasGradient = gradients.gradient(ofParameterAt: offset)
        {
            addColumnSums(of: outputGradient, width: outputWidth, to: biasGradient)
        }
        pass.product.linearInputGradient(
            inputGradient,
            accumulating: accumulating,
            outputGradient: outputGradient,
            weight: weights.effective(module, layer: layer),
            rows: pass.rows,
            inputWidth: inputWidth,
            outputWidth: outputWidth
        )
    }

    /// Each column's rows are summed in order by one thread.
    private func addColumnSums(
        of gradient: UnsafePointer<Float>,
        width: Int,
        to sums: UnsafeMutablePointer<Float>
    ) {
        team.parallelFor(count: width, grain: 16) { range in
            for row in 0..<pass.rows {
                DecoderKernels.add(
                    sums + range.lowerBound,
                    gradient + row * width + range.lowerBound,
                    count: range.count
                )
            }
        }
    }

    /// Zeroes weight gradients where the forward pass saturated, if the recipe's estimator clips.
    func clipSaturated() {
        guard weights.recipe.straightThrough == .clip else {
            return
        }
        for layer in 0..<configuration.layerCount {
            for module in LinearModule.allCases {
                guard let format = weights.format(module, layer: layer),
                    let gradient = gradients.gradient(
                        ofParameterAt: weights.layers[layer].linear[module.rawValue]
                    )
                else {
                    continue
                }
                BlockQuantizer.maskSaturated(
                    gradient: gradient,
                    source: weights.master(module, layer: layer),
                    rows: module.outputWidth(configuration),
                    columns: module.inputWidth(configuration),
                    format: format,
                    team: team
                )
            }
        }
    }
}
