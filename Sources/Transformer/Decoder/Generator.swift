internal import Formats
public import Kernels
internal import Quantization

/// How the next token is drawn.
public struct SamplingOptions: Sendable, Equatable {
    /// 0 takes the most likely token; higher flattens the distribution.
    public var temperature: Double
    /// Only the most likely tokens that together reach this share are drawn from, in (0, 1].
    public var topP: Double
    /// Seed of the draws.
    public var seed: UInt64

    /// Options; the defaults are greedy.
    public init(temperature: Double = 0, topP: Double = 1, seed: UInt64 = 0) {
        self.temperature = temperature
        self.topP = topP
        self.seed = seed
    }
}

/// Generates text token by token with a key-value cache.
///
/// Weights are taken as they are. Not for concurrent use.
public final class Generator {
    /// Tokens in the cache.
    public private(set) var position = 0
    /// The cache's capacity, in tokens.
    public let capacity: Int

    private let weights: LayerWeights
    private let product: MatrixProduct
    private let team: ThreadTeam
    private let rotary: RotaryTable
    private let maximumRows: Int
    private let activations: ActivationArena
    private let keys: AlignedBuffer<Float>
    private let values: AlignedBuffer<Float>
    private let scores: AlignedBuffer<Float>
    private let logits: AlignedBuffer<Float>
    private var random: SplitMix64
    private var order: [Int32]

    private var configuration: ModelConfiguration { weights.configuration }

    /// Prepares a cache of `capacity` tokens; prompts are processed `chunk` tokens at a time.
    ///
    /// - Throws: ``TransformerError``.
    public init(
        parameters: Parameters,
        capacity: Int,
        chunk: Int = 128,
        seed: UInt64 = 0,
        team: ThreadTeam
    ) throws {
        let configuration = parameters.configuration
        weights = try LayerWeights(parameters: parameters, recipe: .none, team: team)
        product = MatrixProduct(team: team)
        self.team = team
        self.capacity = capacity
        maximumRows = min(chunk, capacity)
        rotary = RotaryTable(configuration: configuration, positions: capacity)
        activations = ActivationArena(
            configuration: configuration,
            rows: maximumRows,
            layerSlots: 1
        )
        let cache = configuration.layerCount * capacity * configuration.keyValueWidth
        keys = AlignedBuffer(count: cache)
        values = AlignedBuffer(count: cache)
        scores = AlignedBuffer(count: team.threadCount * maximumRows * capacity)
        logits = AlignedBuffer(count: configuration.vocabularySize)
        random = SplitMix64(seed: seed)
        order = (0..<Int32(configuration.vocabularySize)).map { $0 }
    }

    /// Forgets all tokens.
    public func reset() {
        position = 0
    }

    /// Appends `tokens` and leaves the logits of the token that follows.
    ///
    /// - Throws: ``TransformerError`` (`invalidTokens`) if they do not fit or are not tokens.
    public func append(_ tokens: [Int32]) throws {
        let limit = Int32(configuration.vocabularySize)
        guard !tokens.isEmpty, position + tokens.count <= capacity,
            tokens.allSatisfy({ $0 >= 0 && $0 < limit })
        else {
            throw TransformerError(
                .invalidTokens,
                "\(tokens.count) tokens at \(position) do not fit a cache of \(capacity)"
            )
        }
        var start = 0
        while start < tokens.count {
            let count = min(maximumRows, tokens.count - start)
            tokens.withUnsafeBufferPointer { buffer in
                if let base = buffer.baseAddress {
                    forward(base + start, rows: count)
                }
            }
            start += count
        }
    }

    /// Draws the next token from the last logits.
    public func sample(_ options: SamplingOptions) -> Int32 {
        let v = configuration.vocabularySize
        guard options.temperature > 0 else {
            var best = 0
            for index in 1..<v where logits.pointer[index] > logits.pointer[best] {
                best = index
            }
            return Int32(best)
        }
        DecoderKernels.softmax(logits.pointer, count: v, scale: Float(1 / options.temperature))
        let probabilities = logits.pointer
        order.sort { probabilities[Int($0)] > probabilities[Int($1)] }
        var nucleus = 0.0
        var size = 0
        while size < v && (size == 0 || nucleus < options.topP) {
            nucleus += Double(probabilities[Int(order[size])])
            size += 1
        }
        var draw = random.uniform() * nucleus
        for index in 0..<size {
            draw -= Double(probabilities[Int(order[index])])
            if draw < 0 {
                return order[index]
            }
        }
        return order[size - 1]
    }

    private func forward(_ tokens: UnsafePointer<Int32>, rows: Int) {
        let c = configuration.hiddenSize
        let layer = activations.layers[0]
        DecoderKernels.embed(
            output: layer.input,
            table: weights.norm(weights.embeddingOffset),
            tokens: tokens,
            rows: rows,
            width: c
        )
        for index in 0..<configuration.layerCount {
            norm(layer.attentionNorm, layer.input, weights.offsets[index].attentionNorm, rows)
            linear(.query, index, layer.attentionNorm, layer.query, rows)
            linear(.key, index, layer.attentionNorm, layer.key, rows)
            linear(.value, index, layer.attentionNorm, layer.value, rows)
            attend(index, layer, rows: rows)
            linear(.output, index, layer.attention, activations.projection, rows)
            DecoderKernels.add(layer.input, activations.projection, count: rows * c)
            norm(layer.mlpNorm, layer.input, weights.offsets[index].mlpNorm, rows)
            linear(.gate, index, layer.mlpNorm, layer.gate, rows)
            linear(.up, index, layer.mlpNorm, layer.up, rows)
            DecoderKernels.swiGLU(
                output: activations.activated,
                gate: layer.gate,
                up: layer.up,
                count: rows * configuration.intermediateSize
            )
            linear(.down, index, activations.activated, activations.projection, rows)
            DecoderKernels.add(layer.input, activations.projection, count: rows * c)
        }
        position += rows
        let last = layer.input + (rows - 1) * c
        norm(activations.finalNorm, last, weights.finalNormOffset, 1)
        product.linear(
            output: logits.pointer,
            input: activations.finalNorm,
            weight: weights.effectiveHead(),
            rows: 1,
            inputWidth: c,
            outputWidth: configuration.vocabularySize
        )
    }

    private func attend(_ index: Int, _ layer: ActivationArena.Layer, rows: Int) {
        let d = configuration.headDimension
        let q = configuration.queryWidth
        let k = configuration.keyValueWidth
        let heads = configuration.headCount
        let group = heads / configuration.keyValueHeadCount
        for (values, count) in [(layer.query, heads), (layer.key, configuration.keyValueHeadCount)]
        {
            DecoderKernels.rotate(
                values,
                cosine: rotary.cosine.pointer,
                sine: rotary.sine.pointer,
                rows: rows,
                sequenceLength: rows,
                heads: count,
                headDimension: d,
                firstPosition: position
            )
        }
        let layerKeys = keys.pointer + index * capacity * k
        let layerValues = values.pointer + index * capacity * k
        (layerKeys + position * k).update(from: layer.key, count: rows * k)
        (layerValues + position * k).update(from: layer.value, count: rows * k)
        let total = position + rows
        let share = (heads + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            let p = scores.pointer + thread * maximumRows * capacity
            for head in min(thread * share, heads)..<min((thread + 1) * share, heads) {
                let column = head / group * d
                MatrixProduct.timesTransposed(
                    c: p,
                    cStride: total,
                    a: layer.query + head * d,
                    aStride: q,
                    b: layerKeys + column,
                    bStride: k,
                    m: rows,
                    n: total,
                    k: d
                )
                for row in 0..<rows {
                    let visible = position + row + 1
                    let line = p + row * total
                    DecoderKernels.softmax(line, count: visible, scale: 1 / Float(d).squareRoot())
                    (line + visible).update(repeating: 0, count: total - visible)
                }
                MatrixProduct.times(
                    c: layer.attention + head * d,
                    cStride: q,
                    accumulating: 0,
                    a: p,
                    aStride: total,
                    b: layerValues + column,
                    bStride: k,
                    m: rows,
                    n: d,
                    k: total
                )
            }
        }
    }

    private func norm(
        _ output: UnsafeMutablePointer<Float>,
        _ input: UnsafePointer<Float>,
        _ offset: Int,
        _ rows: Int
    ) {
        DecoderKernels.rmsNorm(
            output: output,
            inverseRMS: activations.finalInverseRMS,
            input: input,
            weight: weights.norm(offset),
            rows: rows,
            width: configuration.hiddenSize,
            epsilon: configuration.rmsNormEpsilon
        )
    }

    private func linear(
        _ module: LinearModule,
        _ layer: Int,
        _ input: UnsafePointer<Float>,
        _ output: UnsafeMutablePointer<Float>,
        _ rows: Int
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
}
