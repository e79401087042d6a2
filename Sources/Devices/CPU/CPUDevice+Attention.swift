internal import Kernels

extension CPUDevice {
    /// Scores live in one tile per thread.
    public func attend(_ attention: SequenceAttention, _ tensors: AttentionTensors) {
        let heads = AttentionHeads(attention, tensors)
        let count = heads.tileCount
        let scores = scores.reserve(team.threadCount * count)
        forEachHead(heads) { head, thread in
            heads.forward(head, probabilities: scores + thread * count)
        }
    }

    /// Probabilities are computed again, in two or three tiles per thread.
    public func attendGradient(
        _ attention: SequenceAttention,
        _ tensors: AttentionTensors,
        gradients: AttentionTensors
    ) {
        let heads = AttentionHeads(attention, tensors)
        let target = AttentionHeads(attention, gradients)
        let count = heads.tileCount
        let size = team.threadCount * count
        let (scores, changes) = (scores.reserve(size), scoreGradients.reserve(size))
        let capped = attention.scores.softCap == nil ? nil : cappedScores.reserve(size)
        clear(gradients.key)
        clear(gradients.value)
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

    /// Split over the team by query heads.
    public func attend(_ attention: CachedAttentionOperation, _ tensors: AttentionTensors) {
        let heads = AttentionHeads(attention, tensors)
        let count = heads.tileCount
        let scores = scores.reserve(team.threadCount * count)
        let share = (heads.perSequence + team.threadCount - 1) / team.threadCount
        team.parallel { thread in
            let lower = min(thread * share, heads.perSequence)
            for index in lower..<min(lower + share, heads.perSequence) {
                heads.forward(heads.head(index, of: 0), probabilities: scores + thread * count)
            }
        }
    }

    /// Floats that a thread's tile of scores takes, of sequences of `length`.
    public static func attentionTileCount(length: Int) -> Int {
        AttentionHeads.tileCount(rows: length, keys: length)
    }

    /// Runs `body` for each sequence and query head; what shares a key head runs on one thread.
    private func forEachHead(
        _ heads: AttentionHeads,
        _ body: (_ head: AttentionHeads.Head, _ thread: Int) -> Void
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
}

/// The heads of causal attention, in the host's memory: over whole sequences, or of a sequence's latest
/// rows.
///
/// Computed in tiles of some rows of queries and the keys that they see, so that memory grows with a
/// sequence's length, not with its square, and what nobody sees is not computed.
private struct AttentionHeads {
    /// The first element of a head's queries (and outputs), and of its keys and values.
    struct Head {
        let query: Int
        let key: Int
        /// The first row of its sequence, of all.
        let row: Int
    }

    /// Some rows of queries, counted from the first of their sequence, and the keys that any of them
    /// sees.
    struct Tile {
        let rows: Range<Int>
        let keys: Range<Int>
    }

    /// A thread's tiles.
    struct Scores {
        let probabilities: UnsafeMutablePointer<Float>
        let gradient: UnsafeMutablePointer<Float>
        let capped: UnsafeMutablePointer<Float>?
    }

    /// Rows of queries in a tile: less waste beyond the diagonal, and products still large enough.
    private static let tileRows = 64

    let sequences: Int
    let keyHeads: Int
    /// Query heads.
    let perSequence: Int
    /// Query heads per key head.
    var group: Int { perSequence / keyHeads }
    /// Rows of queries per sequence.
    private let rows: Int
    /// Positions before the queries' first, whose keys come first.
    private let firstPosition: Int
    private let dimension: Int
    private let scores: AttentionScores
    /// The first row of its sequence that each row sees; nil where only `scores` says so.
    private let starts: UnsafePointer<Int32>?
    private let (query, key, value, output):
        (
            UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>,
            UnsafeMutablePointer<Float>
        )
    private let (queryWidth, keyWidth): (Int, Int)

    init(_ attention: SequenceAttention, _ tensors: AttentionTensors) {
        precondition(
            tensors.query.rows % attention.length == 0 && tensors.key.rows == tensors.query.rows,
            "attend: \(tensors.query.rows) rows of sequences of \(attention.length)"
        )
        self.init(
            tensors,
            rows: attention.length,
            firstPosition: 0,
            dimension: attention.headDimension,
            scores: attention.scores,
            starts: attention.starts
        )
    }

    init(_ attention: CachedAttentionOperation, _ tensors: AttentionTensors) {
        precondition(
            tensors.key.rows >= attention.firstPosition + tensors.query.rows,
            "attend: \(tensors.key.rows) keys, \(attention.firstPosition) rows before the first"
        )
        self.init(
            tensors,
            rows: tensors.query.rows,
            firstPosition: attention.firstPosition,
            dimension: attention.headDimension,
            scores: attention.scores
        )
    }

    private init(
        _ tensors: AttentionTensors,
        rows: Int,
        firstPosition: Int,
        dimension: Int,
        scores: AttentionScores,
        starts: DeviceTensor? = nil
    ) {
        precondition(
            starts.map { $0.count >= tensors.query.rows } ?? true,
            "attend: starts of \(starts?.count ?? 0) rows, not \(tensors.query.rows)"
        )
        self.starts = starts.map { UnsafePointer($0.tokens) }
        precondition(
            tensors.value.columns == tensors.key.columns
                && tensors.output.columns == tensors.query.columns,
            "attend: tensors that do not fit"
        )
        self.rows = rows
        self.firstPosition = firstPosition
        self.dimension = dimension
        self.scores = scores
        sequences = rows > 0 ? tensors.query.rows / rows : 0
        (queryWidth, keyWidth) = (tensors.query.columns, tensors.key.columns)
        (perSequence, keyHeads) = (queryWidth / dimension, keyWidth / dimension)
        (query, key) = (tensors.query.floats, tensors.key.floats)
        (value, output) = (tensors.value.floats, tensors.output.floats)
    }

    /// Floats of the largest tile.
    var tileCount: Int { Self.tileCount(rows: rows, keys: firstPosition + rows) }

    static func tileCount(rows: Int, keys: Int) -> Int { min(tileRows, rows) * keys }

    func head(_ index: Int, of sequence: Int) -> Head {
        Head(
            query: sequence * rows * queryWidth + index * dimension,
            key: sequence * rows * keyWidth + index / group * dimension,
            row: sequence * rows
        )
    }

    /// The first position that a row sees; never less than that of the row before.
    private func firstVisible(from row: Int, _ head: Head) -> Int {
        let first = scores.firstVisible(from: firstPosition + row)
        guard let starts else { return first }
        return max(first, Int(starts[head.row + row]))
    }

    private func forEachTile(of head: Head, _ body: (Tile) -> Void) {
        for first in stride(from: 0, to: rows, by: Self.tileRows) {
            let end = min(first + Self.tileRows, rows)
            // A multiple of 16, so that products begin where vectors do.
            let seen = firstVisible(from: first, head) / 16 * 16
            body(Tile(rows: first..<end, keys: seen..<firstPosition + end))
        }
    }

    func forward(_ head: Head, probabilities p: UnsafeMutablePointer<Float>) {
        forEachTile(of: head) { tile in
            weigh(head, tile, p, capped: nil)
            MatrixProduct.times(
                .init(rows(of: output, tile, head), stride: queryWidth),
                .init(p, stride: tile.keys.count),
                .init(keys(of: value, tile, head), stride: keyWidth),
                shape: (tile.rows.count, dimension, tile.keys.count)
            )
        }
    }

    /// `target`: The same tensors' gradients, of which the output's is read.
    func backward(_ head: Head, into target: AttentionHeads, _ matrices: Scores) {
        forEachTile(of: head) { tile in
            let (p, dp) = (matrices.probabilities, matrices.gradient)
            let (rows, keys) = (tile.rows.count, tile.keys.count)
            weigh(head, tile, p, capped: matrices.capped)
            let dOut = MatrixProduct.Operand(
                target.rows(of: target.output, tile, head),
                stride: queryWidth
            )
            MatrixProduct.transposedTimes(
                .init(target.keys(of: target.value, tile, head), stride: keyWidth),
                .init(p, stride: keys),
                dOut,
                shape: (keys, dimension, rows)
            )
            MatrixProduct.timesTransposed(
                .init(dp, stride: keys),
                dOut,
                .init(self.keys(of: value, tile, head), stride: keyWidth),
                shape: (rows, keys, dimension)
            )
            turnToScores(head, tile, matrices)
            let scoreGradient = MatrixProduct.Operand(dp, stride: keys)
            MatrixProduct.times(
                .init(target.rows(of: target.query, tile, head), stride: queryWidth),
                scoreGradient,
                .init(self.keys(of: key, tile, head), stride: keyWidth),
                shape: (rows, dimension, keys)
            )
            MatrixProduct.transposedTimes(
                .init(target.keys(of: target.key, tile, head), stride: keyWidth),
                scoreGradient,
                .init(self.rows(of: query, tile, head), stride: queryWidth),
                shape: (keys, dimension, rows)
            )
        }
    }

    private func rows(
        of values: UnsafeMutablePointer<Float>,
        _ tile: Tile,
        _ head: Head
    ) -> UnsafeMutablePointer<Float> {
        values + head.query + tile.rows.lowerBound * queryWidth
    }

    private func keys(
        of values: UnsafeMutablePointer<Float>,
        _ tile: Tile,
        _ head: Head
    ) -> UnsafeMutablePointer<Float> {
        values + head.key + tile.keys.lowerBound * keyWidth
    }

    /// The probabilities of a tile, `[rows, keys]`; `capped` receives the scores after the soft cap.
    private func weigh(
        _ head: Head,
        _ tile: Tile,
        _ p: UnsafeMutablePointer<Float>,
        capped: UnsafeMutablePointer<Float>?
    ) {
        let count = tile.rows.count * tile.keys.count
        MatrixProduct.timesTransposed(
            .init(p, stride: tile.keys.count),
            .init(rows(of: query, tile, head), stride: queryWidth),
            .init(keys(of: key, tile, head), stride: keyWidth),
            shape: (tile.rows.count, tile.keys.count, dimension)
        )
        if let cap = scores.softCap {
            DecoderKernels.softCap(p, count: count, scale: scores.scale, cap: cap)
            capped?.update(from: p, count: count)
        }
        forEachRow(of: tile, head, p) { line, count in
            DecoderKernels.softmax(p + line, count: count, scale: scores.softmaxScale)
        }
    }

    /// The gradient of a tile's probabilities becomes that of its products.
    private func turnToScores(_ head: Head, _ tile: Tile, _ matrices: Scores) {
        let (p, dp) = (matrices.probabilities, matrices.gradient)
        forEachRow(of: tile, head, dp) { line, count in
            DecoderKernels.softmaxGradient(
                dp + line,
                probabilities: p + line,
                count: count,
                scale: scores.softmaxScale
            )
        }
        guard let capped = matrices.capped, let cap = scores.softCap else { return }
        DecoderKernels.softCapGradient(
            dp,
            capped: capped,
            count: tile.rows.count * tile.keys.count,
            scale: scores.scale,
            cap: cap
        )
    }

    /// Runs `body` with the place and number of what each row sees, and zeroes in `matrix` what it does
    /// not.
    private func forEachRow(
        of tile: Tile,
        _ head: Head,
        _ matrix: UnsafeMutablePointer<Float>,
        _ body: (_ start: Int, _ count: Int) -> Void
    ) {
        let width = tile.keys.count
        for (index, row) in tile.rows.enumerated() {
            let position = firstPosition + row
            let first = firstVisible(from: row, head) - tile.keys.lowerBound
            let end = position + 1 - tile.keys.lowerBound
            let line = index * width
            (matrix + line).update(repeating: 0, count: first)
            body(line + first, end - first)
            (matrix + line + end).update(repeating: 0, count: width - end)
        }
    }
}
