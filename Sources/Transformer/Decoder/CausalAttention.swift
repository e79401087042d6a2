internal import Kernels

/// Grouped-query causal attention over whole sequences, forward and backward.
///
/// Probabilities are recomputed in the backward pass, so memory grows with the sequence's length
/// only by two or three score matrices per thread.
final class CausalAttention: Attention {
    let firstPosition = 0
    private let configuration: ModelConfiguration
    private let batchSize: Int
    private let length: Int
    private let team: ThreadTeam
    private let scores: AlignedBuffer<Float>
    private let scoreGradients: AlignedBuffer<Float>?
    /// Scores after the soft cap, where there is one, which its gradient needs.
    private let cappedScores: AlignedBuffer<Float>?
    private let constants: AttentionScores

    /// `keepsGradients`: Whether ``backward(layer:slot:gradients:)`` will be asked for.
    init(
        configuration: ModelConfiguration,
        batchSize: Int,
        length: Int,
        keepsGradients: Bool,
        team: ThreadTeam
    ) {
        self.configuration = configuration
        self.batchSize = batchSize
        self.length = length
        self.team = team
        constants = AttentionScores(configuration)
        let count = team.threadCount * length * length
        scores = AlignedBuffer(count: count)
        scoreGradients = keepsGradients ? AlignedBuffer(count: count) : nil
        cappedScores =
            keepsGradients && constants.softCap != nil ? AlignedBuffer(count: count) : nil
    }

    func sequenceLength(rows: Int) -> Int { length }

    /// One query head of one sequence.
    private struct Unit {
        let thread: Int
        let layer: Int
        /// The first element of its queries, and of what attention puts out.
        let query: Int
        /// The first element of its keys and values.
        let key: Int
    }

    /// Runs `body` for each sequence and query head; what shares a key head runs on one thread.
    private func forEachHead(layer: Int, _ body: (Unit) -> Void) {
        let heads = configuration.keyValueHeadCount
        let d = configuration.headDimension
        let group = configuration.headCount / heads
        let units = batchSize * heads
        let share = (units + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            for unit in min(thread * share, units)..<min((thread + 1) * share, units) {
                let (sequence, keyHead) = (unit / heads, unit % heads)
                for head in keyHead * group..<(keyHead + 1) * group {
                    body(
                        Unit(
                            thread: thread,
                            layer: layer,
                            query: sequence * length * configuration.queryWidth + head * d,
                            key: sequence * length * configuration.keyValueWidth + keyHead * d
                        )
                    )
                }
            }
        }
    }

    func forward(layer: Int, slot: ActivationArena.Layer, rows: Int) {
        forEachHead(layer: layer) { unit in
            let p = scores.pointer + unit.thread * length * length
            probabilities(p, slot, unit, capped: nil)
            MatrixProduct.times(
                .init(slot.attention + unit.query, stride: configuration.queryWidth),
                .init(p, stride: length),
                .init(slot.value + unit.key, stride: configuration.keyValueWidth),
                shape: (length, configuration.headDimension, length)
            )
        }
    }

    /// Where the gradients of attention's output come from, and those of its inputs go.
    struct Gradients {
        let attention: UnsafePointer<Float>
        let query: UnsafeMutablePointer<Float>
        let key: UnsafeMutablePointer<Float>
        let value: UnsafeMutablePointer<Float>
    }

    /// Overwrites the gradients of queries and keys (still rotated) and of values.
    func backward(layer: Int, slot: ActivationArena.Layer, gradients: Gradients) {
        guard let scoreGradients else {
            preconditionFailure("backward: this attention was made for inference")
        }
        let keyCount = batchSize * length * configuration.keyValueWidth
        gradients.key.update(repeating: 0, count: keyCount)
        gradients.value.update(repeating: 0, count: keyCount)
        forEachHead(layer: layer) { unit in
            let start = unit.thread * length * length
            let p = scores.pointer + start
            let dp = scoreGradients.pointer + start
            let capped = cappedScores.map { $0.pointer + start }
            probabilities(p, slot, unit, capped: capped)
            backward(p, dp, capped, slot, unit, gradients)
        }
    }

    private func backward(
        _ p: UnsafeMutablePointer<Float>,
        _ dp: UnsafeMutablePointer<Float>,
        _ capped: UnsafeMutablePointer<Float>?,
        _ slot: ActivationArena.Layer,
        _ unit: Unit,
        _ gradients: Gradients
    ) {
        let d = configuration.headDimension
        let q = configuration.queryWidth
        let k = configuration.keyValueWidth
        let dOut = MatrixProduct.Operand(gradients.attention + unit.query, stride: q)
        MatrixProduct.transposedTimes(
            .init(gradients.value + unit.key, stride: k),
            .init(p, stride: length),
            dOut,
            shape: (length, d, length)
        )
        MatrixProduct.timesTransposed(
            .init(dp, stride: length),
            dOut,
            .init(slot.value + unit.key, stride: k),
            shape: (length, length, d)
        )
        DecoderKernels.causalSoftmaxGradient(
            dp,
            probabilities: p,
            length: length,
            scale: constants.softmaxScale
        )
        if let capped, let cap = constants.softCap {
            DecoderKernels.softCapGradient(
                dp,
                capped: capped,
                count: length * length,
                scale: constants.scale,
                cap: cap
            )
        }
        let scoreGradient = MatrixProduct.Operand(dp, stride: length)
        MatrixProduct.times(
            .init(gradients.query + unit.query, stride: q),
            scoreGradient,
            .init(slot.key + unit.key, stride: k),
            shape: (length, d, length)
        )
        MatrixProduct.transposedTimes(
            .init(gradients.key + unit.key, stride: k),
            scoreGradient,
            .init(slot.query + unit.query, stride: q),
            shape: (length, d, length)
        )
    }

    /// The attention probabilities of one head, `[length, length]`; `capped` receives the scores after
    /// the soft cap.
    private func probabilities(
        _ p: UnsafeMutablePointer<Float>,
        _ slot: ActivationArena.Layer,
        _ unit: Unit,
        capped: UnsafeMutablePointer<Float>?
    ) {
        MatrixProduct.timesTransposed(
            .init(p, stride: length),
            .init(slot.query + unit.query, stride: configuration.queryWidth),
            .init(slot.key + unit.key, stride: configuration.keyValueWidth),
            shape: (length, length, configuration.headDimension)
        )
        if let cap = constants.softCap {
            DecoderKernels.softCap(p, count: length * length, scale: constants.scale, cap: cap)
            capped?.update(from: p, count: length * length)
        }
        // The last row's view tells whether the layer's window is shorter than the sequence.
        guard constants.firstVisible(from: length - 1, layer: unit.layer) > 0 else {
            DecoderKernels.causalSoftmax(p, length: length, scale: constants.softmaxScale)
            return
        }
        for row in 0..<length {
            let line = p + row * length
            let first = constants.firstVisible(from: row, layer: unit.layer)
            line.update(repeating: 0, count: first)
            DecoderKernels.softmax(
                line + first,
                count: row + 1 - first,
                scale: constants.softmaxScale
            )
            (line + row + 1).update(repeating: 0, count: length - row - 1)
        }
    }
}
