internal import Kernels

extension CPUDevice {
    /// Probabilities live in one score matrix per thread.
    public func attend(_ attention: SequenceAttention, _ tensors: AttentionTensors) {
        let count = attention.length * attention.length
        let scores = scores.reserve(team.threadCount * count)
        let heads = SequenceHeads(attention, tensors)
        forEachHead(heads) { head, thread in
            heads.forward(head, probabilities: scores + thread * count)
        }
    }

    /// Probabilities are computed again, so that memory grows by two or three score matrices per thread.
    public func attendGradient(
        _ attention: SequenceAttention,
        _ tensors: AttentionTensors,
        gradients: AttentionTensors
    ) {
        let count = attention.length * attention.length
        let size = team.threadCount * count
        let (scores, changes) = (scores.reserve(size), scoreGradients.reserve(size))
        let capped = attention.scores.softCap == nil ? nil : cappedScores.reserve(size)
        clear(gradients.key)
        clear(gradients.value)
        let heads = SequenceHeads(attention, tensors)
        let target = SequenceHeads(attention, gradients)
        forEachHead(heads) { head, thread in
            heads.backward(
                head,
                into: target,
                .init(
                    probabilities: scores + thread * count,
                    gradient: changes + thread * count,
                    capped: capped.map { $0 + thread * count }
                )
            )
        }
    }

    /// Runs `body` for each sequence and query head; what shares a key head runs on one thread.
    private func forEachHead(
        _ heads: SequenceHeads,
        _ body: (_ head: SequenceHeads.Head, _ thread: Int) -> Void
    ) {
        let units = heads.sequences * heads.keyHeads
        let share = (units + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            for unit in min(thread * share, units)..<min((thread + 1) * share, units) {
                let (sequence, keyHead) = (unit / heads.keyHeads, unit % heads.keyHeads)
                for query in keyHead * heads.group..<(keyHead + 1) * heads.group {
                    body(heads.head(query, of: sequence), thread)
                }
            }
        }
    }

    /// Split over the team by query heads.
    public func attend(_ attention: CachedAttentionOperation, _ tensors: AttentionTensors) {
        let heads = CachedHeads(attention, tensors)
        let count = heads.rows * heads.total
        let scores = scores.reserve(team.threadCount * count)
        let share = (heads.count + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            let lower = min(thread * share, heads.count)
            for head in lower..<min(lower + share, heads.count) {
                heads.forward(head, probabilities: scores + thread * count)
            }
        }
    }
}

/// The heads of attention over whole sequences, in the host's memory.
private struct SequenceHeads {
    /// The first element of a head's queries (and outputs), and of its keys and values.
    struct Head {
        let query: Int
        let key: Int
    }

    /// A thread's score matrices.
    struct Matrices {
        let probabilities: UnsafeMutablePointer<Float>
        let gradient: UnsafeMutablePointer<Float>
        let capped: UnsafeMutablePointer<Float>?
    }

    let sequences: Int
    let keyHeads: Int
    /// Query heads per key head.
    let group: Int
    private let length: Int
    private let dimension: Int
    private let scores: AttentionScores
    private let (query, key, value, output):
        (
            UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>,
            UnsafeMutablePointer<Float>
        )
    private let (queryWidth, keyWidth): (Int, Int)

    init(_ attention: SequenceAttention, _ tensors: AttentionTensors) {
        length = attention.length
        dimension = attention.headDimension
        scores = attention.scores
        precondition(
            tensors.query.rows % length == 0 && tensors.key.rows == tensors.query.rows
                && tensors.value.columns == tensors.key.columns
                && tensors.output.columns == tensors.query.columns,
            "attend: tensors that do not fit"
        )
        sequences = tensors.query.rows / length
        (queryWidth, keyWidth) = (tensors.query.columns, tensors.key.columns)
        keyHeads = keyWidth / dimension
        group = queryWidth / keyWidth
        (query, key) = (tensors.query.floats, tensors.key.floats)
        (value, output) = (tensors.value.floats, tensors.output.floats)
    }

    func head(_ index: Int, of sequence: Int) -> Head {
        Head(
            query: sequence * length * queryWidth + index * dimension,
            key: sequence * length * keyWidth + index / group * dimension
        )
    }

    func forward(_ head: Head, probabilities p: UnsafeMutablePointer<Float>) {
        weigh(head, p, capped: nil)
        MatrixProduct.times(
            .init(output + head.query, stride: queryWidth),
            .init(p, stride: length),
            .init(value + head.key, stride: keyWidth),
            shape: (length, dimension, length)
        )
    }

    /// `target`: The same tensors' gradients, of which the output's is read.
    func backward(_ head: Head, into target: SequenceHeads, _ matrices: Matrices) {
        let (p, dp) = (matrices.probabilities, matrices.gradient)
        weigh(head, p, capped: matrices.capped)
        let dOut = MatrixProduct.Operand(target.output + head.query, stride: queryWidth)
        MatrixProduct.transposedTimes(
            .init(target.value + head.key, stride: keyWidth),
            .init(p, stride: length),
            dOut,
            shape: (length, dimension, length)
        )
        MatrixProduct.timesTransposed(
            .init(dp, stride: length),
            dOut,
            .init(value + head.key, stride: keyWidth),
            shape: (length, length, dimension)
        )
        DecoderKernels.causalSoftmaxGradient(
            dp,
            probabilities: p,
            length: length,
            scale: scores.softmaxScale
        )
        if let capped = matrices.capped, let cap = scores.softCap {
            DecoderKernels.softCapGradient(
                dp,
                capped: capped,
                count: length * length,
                scale: scores.scale,
                cap: cap
            )
        }
        let scoreGradient = MatrixProduct.Operand(dp, stride: length)
        MatrixProduct.times(
            .init(target.query + head.query, stride: queryWidth),
            scoreGradient,
            .init(key + head.key, stride: keyWidth),
            shape: (length, dimension, length)
        )
        MatrixProduct.transposedTimes(
            .init(target.key + head.key, stride: keyWidth),
            scoreGradient,
            .init(query + head.query, stride: queryWidth),
            shape: (length, dimension, length)
        )
    }

    /// The probabilities of one head, `[length, length]`; `capped` receives the scores after the soft
    /// cap.
    private func weigh(
        _ head: Head,
        _ p: UnsafeMutablePointer<Float>,
        capped: UnsafeMutablePointer<Float>?
    ) {
        MatrixProduct.timesTransposed(
            .init(p, stride: length),
            .init(query + head.query, stride: queryWidth),
            .init(key + head.key, stride: keyWidth),
            shape: (length, length, dimension)
        )
        if let cap = scores.softCap {
            DecoderKernels.softCap(p, count: length * length, scale: scores.scale, cap: cap)
            capped?.update(from: p, count: length * length)
        }
        // The last row's view tells whether the window is shorter than the sequence.
        guard scores.firstVisible(from: length - 1) > 0 else {
            DecoderKernels.causalSoftmax(p, length: length, scale: scores.softmaxScale)
            return
        }
        for row in 0..<length { scores.normalize(p + row * length, position: row, width: length) }
    }
}

/// The heads of attention over a cache, in the host's memory.
private struct CachedHeads {
    let rows: Int
    /// Rows of keys and values.
    let total: Int
    /// Query heads.
    let count: Int
    private let tensors: AttentionTensors
    private let dimension: Int
    private let scores: AttentionScores
    private let firstPosition: Int

    init(_ attention: CachedAttentionOperation, _ tensors: AttentionTensors) {
        rows = tensors.query.rows
        total = attention.firstPosition + rows
        dimension = attention.headDimension
        scores = attention.scores
        firstPosition = attention.firstPosition
        count = tensors.query.columns / dimension
        self.tensors = tensors
        precondition(
            tensors.key.rows >= total && tensors.value.rows >= total
                && tensors.value.columns == tensors.key.columns
                && tensors.output.columns == tensors.query.columns,
            "attend: tensors that do not fit"
        )
    }

    func forward(_ head: Int, probabilities p: UnsafeMutablePointer<Float>) {
        let (q, k) = (tensors.query.columns, tensors.key.columns)
        let column = head / (q / k) * dimension
        MatrixProduct.timesTransposed(
            .init(p, stride: total),
            .init(tensors.query.floats + head * dimension, stride: q),
            .init(tensors.key.floats + column, stride: k),
            shape: (rows, total, dimension)
        )
        if let cap = scores.softCap {
            DecoderKernels.softCap(p, count: rows * total, scale: scores.scale, cap: cap)
        }
        for row in 0..<rows {
            scores.normalize(p + row * total, position: firstPosition + row, width: total)
        }
        MatrixProduct.times(
            .init(tensors.output.floats + head * dimension, stride: q),
            .init(p, stride: total),
            .init(tensors.value.floats + column, stride: k),
            shape: (rows, dimension, total)
        )
    }
}

extension AttentionScores {
    /// The scores of the query at `position` to probabilities of what it sees of `width` positions.
    fileprivate func normalize(_ line: UnsafeMutablePointer<Float>, position: Int, width: Int) {
        let first = firstVisible(from: position)
        line.update(repeating: 0, count: first)
        DecoderKernels.softmax(
            line + first,
            count: position + 1 - first,
            scale: softmaxScale
        )
        (line + position + 1).update(repeating: 0, count: width - position - 1)
    }
}
