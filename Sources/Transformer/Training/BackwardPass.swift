internal import Formats
internal import Kernels
internal import Quantization

/// The backward pass of a ``DecoderPass`` that kept its activations.
///
/// Fake quantization is passed straight through: a weight's gradient is that of its rounded value,
/// zeroed where the recipe's estimator clips.
final class BackwardPass {
    private let pass: DecoderPass
    private let gradients: GradientArena
    /// The gradient of the residual stream, `[rows, hidden]`.
    let stream: UnsafeMutablePointer<Float>
    private let branch: UnsafeMutablePointer<Float>
    private let attention: UnsafeMutablePointer<Float>
    private let query: UnsafeMutablePointer<Float>
    private let key: UnsafeMutablePointer<Float>
    private let value: UnsafeMutablePointer<Float>
    private let gate: UnsafeMutablePointer<Float>
    private let up: UnsafeMutablePointer<Float>
    private let activated: UnsafeMutablePointer<Float>
    private let normPartials: AlignedBuffer<Float>
    private let storage: AlignedBuffer<Float>

    private var weights: LayerWeights { pass.weights }
    private var configuration: ModelConfiguration { pass.configuration }
    private var team: ThreadTeam { pass.team }

    init(pass: DecoderPass, gradients: GradientArena) {
        self.pass = pass
        self.gradients = gradients
        let configuration = pass.configuration
        let c = configuration.hiddenSize
        let q = configuration.queryWidth
        let k = configuration.keyValueWidth
        let f = configuration.intermediateSize
        let rows = pass.rows
        storage = AlignedBuffer(count: rows * (2 * c + 2 * q + 2 * k + 3 * f))
        normPartials = AlignedBuffer(count: pass.team.threadCount * c)
        var next = storage.pointer
        func take(_ width: Int) -> UnsafeMutablePointer<Float> {
            defer { next += rows * width }
            return next
        }
        stream = take(c)
        branch = take(c)
        attention = take(q)
        query = take(q)
        key = take(k)
        value = take(k)
        gate = take(f)
        up = take(f)
        activated = take(f)
    }

    /// Adds all parameters' gradients, from `finalNormGradient` `[rows, hidden]` down to the
    /// embedding.
    func run(finalNormGradient: UnsafePointer<Float>, tokens: UnsafePointer<Int32>) {
        let count = pass.rows * configuration.hiddenSize
        stream.update(repeating: 0, count: count)
        normBackward(
            outputGradient: finalNormGradient,
            input: pass.activations.output,
            inverseRMS: pass.activations.finalInverseRMS,
            weightOffset: weights.finalNormOffset
        )
        for index in (0..<configuration.layerCount).reversed() {
            let layer = pass.activations.layers[index]
            transformBackward(index, layer)
            attendBackward(index, layer)
        }
        if let table = gradients.gradient(ofParameterAt: weights.embeddingOffset) {
            DecoderKernels.embedGradient(
                tableGradient: table,
                outputGradient: stream,
                tokens: tokens,
                rows: pass.rows,
                width: configuration.hiddenSize
            )
        }
    }

    private func transformBackward(_ index: Int, _ layer: ActivationArena.Layer) {
        let f = configuration.intermediateSize
        pass.activate(layer)
        linearBackward(
            .down,
            index,
            input: pass.prepared(pass.activations.activated, width: f),
            outputGradient: stream,
            inputGradient: activated,
            accumulating: 0
        )
        team.parallelFor(count: pass.rows * f, grain: 16) { range in
            let start = range.lowerBound
            DecoderKernels.swiGLUGradient(
                gateGradient: gate + start,
                upGradient: up + start,
                outputGradient: activated + start,
                gate: layer.gate + start,
                up: layer.up + start,
                count: range.count
            )
        }
        let input = pass.prepared(layer.mlpNorm, width: configuration.hiddenSize)
        linearBackward(
            .gate,
            index,
            input: input,
            outputGradient: gate,
            inputGradient: branch,
            accumulating: 0
        )
        linearBackward(
            .up,
            index,
            input: input,
            outputGradient: up,
            inputGradient: branch,
            accumulating: 1
        )
        normBackward(
            outputGradient: branch,
            input: layer.middle,
            inverseRMS: layer.mlpInverseRMS,
            weightOffset: weights.offsets[index].mlpNorm
        )
    }

    private func attendBackward(_ index: Int, _ layer: ActivationArena.Layer) {
        linearBackward(
            .output,
            index,
            input: pass.prepared(layer.attention, width: configuration.queryWidth),
            outputGradient: stream,
            inputGradient: attention,
            accumulating: 0
        )
        pass.attention.backward(
            layer,
            attentionGradient: attention,
            queryGradient: query,
            keyGradient: key,
            valueGradient: value
        )
        unrotate(query, heads: configuration.headCount)
        unrotate(key, heads: configuration.keyValueHeadCount)
        let input = pass.prepared(layer.attentionNorm, width: configuration.hiddenSize)
        linearBackward(
            .query,
            index,
            input: input,
            outputGradient: query,
            inputGradient: branch,
            accumulating: 0
        )
        linearBackward(
            .key,
            index,
            input: input,
            outputGradient: key,
            inputGradient: branch,
            accumulating: 1
        )
        linearBackward(
            .value,
            index,
            input: input,
            outputGradient: value,
            inputGradient: branch,
            accumulating: 1
        )
        normBackward(
            outputGradient: branch,
            input: layer.input,
            inverseRMS: layer.attentionInverseRMS,
            weightOffset: weights.offsets[index].attentionNorm
        )
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
        let offset = weights.offsets[layer].linear[module.rawValue]
        if let weightGradient = gradients.gradient(ofParameterAt: offset) {
            pass.product.linearWeightGradient(
                weightGradient,
                outputGradient: outputGradient,
                input: input,
                rows: pass.rows,
                inputWidth: inputWidth,
                outputWidth: outputWidth
            )
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

    /// Zeroes weight gradients where the forward pass saturated, if the recipe's estimator clips.
    func clipSaturated() {
        guard weights.recipe.straightThrough == .clip else {
            return
        }
        for layer in 0..<configuration.layerCount {
            for module in LinearModule.allCases {
                let offset = weights.offsets[layer].linear[module.rawValue]
                guard let format = weights.format(module, layer: layer),
                    let gradient = gradients.gradient(ofParameterAt: offset)
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

    /// Adds to ``stream`` and to the norm weight's gradient.
    private func normBackward(
        outputGradient: UnsafePointer<Float>,
        input: UnsafePointer<Float>,
        inverseRMS: UnsafePointer<Float>,
        weightOffset: Int
    ) {
        let c = configuration.hiddenSize
        let weightGradient = gradients.gradient(ofParameterAt: weightOffset)
        // Threads sum the weight's gradient apart; the parts are added in thread order.
        normPartials.elements.update(repeating: 0)
        let share = (pass.rows + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            let lower = min(thread * share, pass.rows)
            let count = min(lower + share, pass.rows) - lower
            DecoderKernels.rmsNormGradient(
                inputGradient: stream + lower * c,
                weightGradient: weightGradient == nil ? nil : normPartials.pointer + thread * c,
                outputGradient: outputGradient + lower * c,
                input: input + lower * c,
                weight: weights.norm(weightOffset),
                inverseRMS: inverseRMS + lower,
                rows: count,
                width: c
            )
        }
        if let weightGradient {
            for thread in 0..<team.threadCount {
                DecoderKernels.add(weightGradient, normPartials.pointer + thread * c, count: c)
            }
        }
    }

    private func unrotate(_ values: UnsafeMutablePointer<Float>, heads: Int) {
        let width = heads * configuration.headDimension
        team.parallelFor(count: pass.batchSize) { range in
            DecoderKernels.unrotate(
                values + range.lowerBound * pass.length * width,
                cosine: pass.rotary.cosine.pointer,
                sine: pass.rotary.sine.pointer,
                rows: range.count * pass.length,
                sequenceLength: pass.length,
                heads: heads,
                headDimension: configuration.headDimension,
                firstPosition: 0
            )
        }
    }
}
