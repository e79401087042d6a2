internal import Kernels

/// Grouped-query causal attention over whole sequences, forward and backward.
///
/// Probabilities are recomputed in the backward pass, so memory grows with the sequence's length
/// only by two score matrices per thread.
final class CausalAttention {
    private let configuration: ModelConfiguration
    private let batchSize: Int
    private let length: Int
    private let team: ThreadTeam
    private let scores: AlignedBuffer<Float>
    private let scoreGradients: AlignedBuffer<Float>?
    private let scale: Float

    /// `gradients`: The number of gradient matrices per thread: 1 to train, 0 otherwise.
    init(
        configuration: ModelConfiguration,
        batchSize: Int,
        length: Int,
        gradients: Int,
        team: ThreadTeam
    ) {
        self.configuration = configuration
        self.batchSize = batchSize
        self.length = length
        self.team = team
        scale = 1 / Float(configuration.headDimension).squareRoot()
        scores = AlignedBuffer(count: team.threadCount * length * length)
        scoreGradients =
            gradients > 0 ? AlignedBuffer(count: team.threadCount * length * length) : nil
    }

    /// Runs `body` for each sequence and key head; the units of one thread are contiguous.
    private func forEachUnit(_ body: (_ thread: Int, _ sequence: Int, _ keyHead: Int) -> Void) {
        let heads = configuration.keyValueHeadCount
        let units = batchSize * heads
        let share = (units + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            for unit in min(thread * share, units)..<min((thread + 1) * share, units) {
                body(thread, unit / heads, unit % heads)
            }
        }
    }

    /// `layer.attention` from its rotated queries and keys and its values.
    func forward(_ layer: ActivationArena.Layer) {
        let d = configuration.headDimension
        let q = configuration.queryWidth
        let k = configuration.keyValueWidth
        let group = configuration.headCount / configuration.keyValueHeadCount
        forEachUnit { thread, sequence, keyHead in
            let p = scores.pointer + thread * length * length
            let keys = layer.key + sequence * length * k + keyHead * d
            let values = layer.value + sequence * length * k + keyHead * d
            for head in keyHead * group..<(keyHead + 1) * group {
                let start = sequence * length * q + head * d
                probabilities(p, queries: layer.query + start, keys: keys)
                MatrixProduct.times(
                    c: layer.attention + start,
                    cStride: q,
                    accumulating: 0,
                    a: p,
                    aStride: length,
                    b: values,
                    bStride: k,
                    m: length,
                    n: d,
                    k: length
                )
            }
        }
    }

    /// Adds to nothing: overwrites the gradients of queries, keys and values (still rotated).
    func backward(
        _ layer: ActivationArena.Layer,
        attentionGradient: UnsafePointer<Float>,
        queryGradient: UnsafeMutablePointer<Float>,
        keyGradient: UnsafeMutablePointer<Float>,
        valueGradient: UnsafeMutablePointer<Float>
    ) {
        guard let scoreGradients else {
            preconditionFailure("backward: this attention was made for inference")
        }
        let d = configuration.headDimension
        let q = configuration.queryWidth
        let k = configuration.keyValueWidth
        let group = configuration.headCount / configuration.keyValueHeadCount
        keyGradient.update(repeating: 0, count: batchSize * length * k)
        valueGradient.update(repeating: 0, count: batchSize * length * k)
        forEachUnit { thread, sequence, keyHead in
            let p = scores.pointer + thread * length * length
            let dp = scoreGradients.pointer + thread * length * length
            let keyStart = sequence * length * k + keyHead * d
            for head in keyHead * group..<(keyHead + 1) * group {
                let start = sequence * length * q + head * d
                let dOut = attentionGradient + start
                probabilities(p, queries: layer.query + start, keys: layer.key + keyStart)
                MatrixProduct.transposedTimes(
                    c: valueGradient + keyStart,
                    cStride: k,
                    a: p,
                    aStride: length,
                    b: dOut,
                    bStride: q,
                    m: length,
                    n: d,
                    k: length
                )
                MatrixProduct.timesTransposed(
                    c: dp,
                    cStride: length,
                    a: dOut,
                    aStride: q,
                    b: layer.value + keyStart,
                    bStride: k,
                    m: length,
                    n: length,
                    k: d
                )
                DecoderKernels.causalSoftmaxGradient(
                    dp,
                    probabilities: p,
                    length: length,
                    scale: scale
                )
                MatrixProduct.times(
                    c: queryGradient + start,
                    cStride: q,
                    accumulating: 0,
                    a: dp,
                    aStride: length,
                    b: layer.key + keyStart,
                    bStride: k,
                    m: length,
                    n: d,
                    k: length
                )
                MatrixProduct.transposedTimes(
                    c: keyGradient + keyStart,
                    cStride: k,
                    a: dp,
                    aStride: length,
                    b: layer.query + start,
                    bStride: q,
                    m: length,
                    n: d,
                    k: length
                )
            }
        }
    }

    private func probabilities(
        _ p: UnsafeMutablePointer<Float>,
        queries: UnsafePointer<Float>,
        keys: UnsafePointer<Float>
    ) {
        MatrixProduct.timesTransposed(
            c: p,
            cStride: length,
            a: queries,
            aStride: configuration.queryWidth,
            b: keys,
            bStride: configuration.keyValueWidth,
            m: length,
            n: length,
            k: configuration.headDimension
        )
        DecoderKernels.causalSoftmax(p, length: length, scale: scale)
    }
}
