internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Devices

/// Attention and its gradient against the definition in double precision, over lengths that make one
/// tile, whole tiles and parts of one.
struct AttentionTests {
    /// Two query heads share each of two key heads.
    private static let (heads, keyHeads, dimension) = (4, 2, 8)
    private static var queryWidth: Int { heads * dimension }
    private static var keyWidth: Int { keyHeads * dimension }

    struct Scores: Sendable, CustomStringConvertible {
        var softCap: Float?
        var window: Int?
        var description: String {
            "soft cap \(softCap.map { "\($0)" } ?? "-"), window \(window.map { "\($0)" } ?? "-")"
        }
        var operation: AttentionScores {
            AttentionScores(scale: 0.35, softCap: softCap, window: window)
        }
    }

    private static let scores = [
        Scores(), Scores(softCap: 1.5), Scores(window: 1), Scores(window: 7),
        Scores(softCap: 1.5, window: 70),
    ]

    private static func values(_ count: Int, _ seed: UInt32) -> [Float] {
        var state = seed &* 2_654_435_761 &+ 1
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(state >> 8) / Float(1 << 23) - 1
        }
    }

    /// The definition: one number at a time.
    private struct Definition {
        let (query, key, value, output): ([Float], [Float], [Float], [Float])
        let scores: AttentionScores

        /// Weights of a query over the keys, and the factor of the soft cap's gradient.
        private func weights(
            _ row: Int,
            _ head: Int
        ) -> [(key: Int, weight: Double, slope: Double)] {
            let first = scores.window.map { max(0, row - $0 + 1) } ?? 0
            let found = (first...row).map { position in
                var sum = 0.0
                for d in 0..<dimension { sum += q(row, head, d) * k(position, head, d) }
                sum *= Double(scores.scale)
                guard let cap = scores.softCap.map(Double.init) else { return (position, sum, 1.0) }
                let t = tanh(sum / cap)
                return (position, cap * t, 1 - t * t)
            }
            let best = found.map(\.1).max() ?? 0
            let total = found.reduce(0) { $0 + exp($1.1 - best) }
            return found.map { ($0.0, exp($0.1 - best) / total, $0.2) }
        }

        private func q(_ row: Int, _ head: Int, _ d: Int) -> Double {
            Double(query[row * queryWidth + head * dimension + d])
        }
        private func k(_ row: Int, _ head: Int, _ d: Int) -> Double {
            Double(key[row * keyWidth + head / 2 * dimension + d])
        }
        private func v(_ row: Int, _ head: Int, _ d: Int) -> Double {
            Double(value[row * keyWidth + head / 2 * dimension + d])
        }

        func forward(rows: Range<Int>) -> [Double] {
            rows.flatMap { row in
                (0..<heads).flatMap { head in
                    let weights = weights(row, head)
                    return (0..<dimension).map { d in
                        weights.reduce(0) { $0 + $1.weight * v($1.key, head, d) }
                    }
                }
            }
        }

        /// The gradients of queries, keys and values, from ``output``, that of the output.
        func backward(rows: Range<Int>) -> (query: [Double], key: [Double], value: [Double]) {
            var dq = [Double](repeating: 0, count: query.count)
            var dk = [Double](repeating: 0, count: key.count)
            var dv = dk
            for row in rows {
                for head in 0..<heads {
                    let weights = weights(row, head)
                    let out = (0..<dimension).map {
                        Double(output[row * queryWidth + head * dimension + $0])
                    }
                    let changes = weights.map { w in
                        (0..<dimension).reduce(0) { $0 + out[$1] * v(w.key, head, $1) }
                    }
                    let mean = zip(weights, changes).reduce(0) { $0 + $1.0.weight * $1.1 }
                    for (w, change) in zip(weights, changes) {
                        let score = w.weight * (change - mean) * w.slope * Double(scores.scale)
                        for d in 0..<dimension {
                            let place = w.key * keyWidth + head / 2 * dimension + d
                            dv[place] += w.weight * out[d]
                            dk[place] += score * q(row, head, d)
                            dq[row * queryWidth + head * dimension + d] +=
                                score * k(w.key, head, d)
                        }
                    }
                }
            }
            return (dq, dk, dv)
        }
    }

    private static func expectClose(
        _ found: [Float],
        _ expected: [Double],
        _ name: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let worst = zip(found, expected).map { abs(Double($0) - $1) }.max() ?? 0
        #expect(
            found.count == expected.count && worst < 2e-5,
            "\(name) is off by \(worst)",
            sourceLocation: sourceLocation
        )
    }

    @Test(arguments: [1, 5, 63, 64, 65, 130], scores)
    func wholeSequencesFollowTheDefinition(length: Int, scores: Scores) {
        let device = CPUDevice(team: ThreadTeam(threadCount: 2))
        let rows = 2 * length
        let definition = Definition(
            query: Self.values(rows * Self.queryWidth, 1),
            key: Self.values(rows * Self.keyWidth, 2),
            value: Self.values(rows * Self.keyWidth, 3),
            output: Self.values(rows * Self.queryWidth, 4),
            scores: scores.operation
        )
        func wide(_ values: [Float]) -> DeviceTensor {
            DeviceTensor(values, columns: Self.queryWidth, on: device)
        }
        func narrow(_ values: [Float]) -> DeviceTensor {
            DeviceTensor(values, columns: Self.keyWidth, on: device)
        }
        // What is overwritten holds something else before.
        let tensors = AttentionTensors(
            query: wide(definition.query),
            key: narrow(definition.key),
            value: narrow(definition.value),
            output: wide(definition.output)
        )
        let gradients = AttentionTensors(
            query: wide(definition.query),
            key: narrow(definition.key),
            value: narrow(definition.value),
            output: wide(definition.output)
        )
        let operation = SequenceAttention(
            length: length,
            headDimension: Self.dimension,
            scores: scores.operation
        )
        device.attend(operation, tensors)
        device.attendGradient(operation, tensors, gradients: gradients)
        // Two sequences: the definition sees one at a time.
        for sequence in 0..<2 {
            let part = sequence * length..<(sequence + 1) * length
            func cut(_ values: [Float], _ width: Int) -> [Float] {
                Array(values[part.lowerBound * width..<part.upperBound * width])
            }
            let one = Definition(
                query: cut(definition.query, Self.queryWidth),
                key: cut(definition.key, Self.keyWidth),
                value: cut(definition.value, Self.keyWidth),
                output: cut(definition.output, Self.queryWidth),
                scores: scores.operation
            )
            let (q, k, v) = one.backward(rows: 0..<length)
            let (wide, narrow) = (Self.queryWidth, Self.keyWidth)
            let output = one.forward(rows: 0..<length)
            Self.expectClose(cut(tensors.output.values, wide), output, "output")
            Self.expectClose(cut(gradients.query.values, wide), q, "query")
            Self.expectClose(cut(gradients.key.values, narrow), k, "key")
            Self.expectClose(cut(gradients.value.values, narrow), v, "value")
        }
    }

    @Test(arguments: [(0, 130), (1, 1), (70, 1), (70, 65)], scores)
    func latestRowsFollowTheDefinition(place: (first: Int, rows: Int), scores: Scores) {
        let device = CPUDevice(team: ThreadTeam(threadCount: 3))
        let total = place.first + place.rows
        let definition = Definition(
            query: Self.values(total * Self.queryWidth, 5),
            key: Self.values(total * Self.keyWidth, 6),
            value: Self.values(total * Self.keyWidth, 7),
            output: [],
            scores: scores.operation
        )
        let query = DeviceTensor(definition.query, columns: Self.queryWidth, on: device)
        let output = device.tensor(rows: place.rows, columns: Self.queryWidth)
        device.attend(
            CachedAttentionOperation(
                firstPosition: place.first,
                headDimension: Self.dimension,
                scores: scores.operation
            ),
            AttentionTensors(
                query: query.rows(place.first..<total),
                key: DeviceTensor(definition.key, columns: Self.keyWidth, on: device),
                value: DeviceTensor(definition.value, columns: Self.keyWidth, on: device),
                output: output
            )
        )
        let expected = definition.forward(rows: place.first..<total)
        Self.expectClose(output.values, expected, "output")
    }

    /// Twice the length takes twice the memory.
    @Test func tilesGrowWithTheLength() {
        let (short, long) = (4096, 8192)
        let tiles = (
            CPUDevice.attentionTileCount(length: short), CPUDevice.attentionTileCount(length: long)
        )
        #expect(tiles.1 == 2 * tiles.0)
        #expect(tiles.0 < short * short / 16)
    }
}
