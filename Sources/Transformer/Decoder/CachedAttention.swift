internal import Kernels

/// Attention of a pass's rows over a cache of one sequence's keys and values, which it extends.
final class CachedAttention: Attention {
    /// Tokens in the cache.
    private(set) var firstPosition = 0
    /// Tokens that the cache holds at most.
    let capacity: Int
    private let configuration: ModelConfiguration
    private let maximumRows: Int
    private let team: ThreadTeam
    private let constants: AttentionScores
    private let keys: AlignedBuffer<Float>
    private let values: AlignedBuffer<Float>
    private let scores: AlignedBuffer<Float>

    /// A cache of `capacity` tokens, filled by at most `maximumRows` at a time.
    init(configuration: ModelConfiguration, capacity: Int, maximumRows: Int, team: ThreadTeam) {
        self.configuration = configuration
        self.capacity = capacity
        self.maximumRows = maximumRows
        self.team = team
        constants = AttentionScores(configuration)
        let cache = configuration.layerCount * capacity * configuration.keyValueWidth
        keys = AlignedBuffer(count: cache)
        values = AlignedBuffer(count: cache)
        scores = AlignedBuffer(count: team.threadCount * maximumRows * capacity)
    }

    func sequenceLength(rows: Int) -> Int { rows }

    /// Counts the rows of a pass that every layer has seen.
    func advance(rows: Int) { firstPosition += rows }

    /// Forgets everything.
    func clear() { firstPosition = 0 }

    func forward(layer: Int, slot: ActivationArena.Layer, rows: Int) {
        let d = configuration.headDimension
        let q = configuration.queryWidth
        let k = configuration.keyValueWidth
        let heads = configuration.headCount
        let group = heads / configuration.keyValueHeadCount
        let layerKeys = keys.pointer + layer * capacity * k
        let layerValues = values.pointer + layer * capacity * k
        (layerKeys + firstPosition * k).update(from: slot.key, count: rows * k)
        (layerValues + firstPosition * k).update(from: slot.value, count: rows * k)
        let total = firstPosition + rows
        let share = (heads + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            let p = scores.pointer + thread * maximumRows * capacity
            for head in min(thread * share, heads)..<min((thread + 1) * share, heads) {
                let column = head / group * d
                MatrixProduct.timesTransposed(
                    .init(p, stride: total),
                    .init(slot.query + head * d, stride: q),
                    .init(layerKeys + column, stride: k),
                    shape: (rows, total, d)
                )
                normalize(p, rows: rows, total: total, layer: layer)
                MatrixProduct.times(
                    .init(slot.attention + head * d, stride: q),
                    .init(p, stride: total),
                    .init(layerValues + column, stride: k),
                    shape: (rows, d, total)
                )
            }
        }
    }

    /// Scores `[rows, total]` to probabilities of what each row sees.
    private func normalize(
        _ p: UnsafeMutablePointer<Float>,
        rows: Int,
        total: Int,
        layer: Int
    ) {
        if let cap = constants.softCap {
            DecoderKernels.softCap(p, count: rows * total, scale: constants.scale, cap: cap)
        }
        for row in 0..<rows {
            let position = firstPosition + row
            let first = constants.firstVisible(from: position, layer: layer)
            let line = p + row * total
            line.update(repeating: 0, count: first)
            DecoderKernels.softmax(
                line + first,
                count: position + 1 - first,
                scale: constants.softmaxScale
            )
            (line + position + 1).update(repeating: 0, count: total - position - 1)
        }
    }
}
