internal import Formats
internal import Kernels
internal import Testing

@testable internal import Devices

/// Attention over pages against attention over one sequence's rows, and against itself in other company.
struct PagedAttentionTests {
    private static let (heads, keyHeads, dimension, pageRows) = (4, 2, 32, 4)
    private static var queryWidth: Int { heads * dimension }
    private static var keyWidth: Int { keyHeads * dimension }

    private static func values(_ count: Int, _ seed: UInt32) -> [Float] {
        var state = seed &* 2_654_435_761 &+ 1
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(state >> 8) / Float(1 << 23) - 1
        }
    }

    private static func tensor(
        _ values: [Float],
        _ columns: Int,
        _ device: CPUDevice
    ) -> DeviceTensor {
        let tensor = device.tensor(rows: values.count / columns, columns: columns)
        device.upload(values, to: tensor)
        return tensor
    }

    private static func array(_ tensor: DeviceTensor, _ device: CPUDevice) -> [Float] {
        var values = [Float](repeating: 0, count: tensor.count)
        device.download(tensor, into: &values)
        return values
    }

    /// A sequence's queries, keys and values.
    private struct Sequence {
        let length: Int
        let query: [Float]
        let key: [Float]
        let value: [Float]

        init(_ length: Int, _ seed: UInt32) {
            self.length = length
            query = values(length * queryWidth, seed)
            key = values(length * keyWidth, seed + 100)
            value = values(length * keyWidth, seed + 200)
        }
    }

    /// What each sequence's rows get, all in one pass after another: `passes` says how many rows of each
    /// sequence a pass takes.
    private static func paged(
        _ sequences: [Sequence],
        _ passes: [[Int]],
        _ encoding: CacheEncoding,
        _ scores: AttentionScores,
        threads: Int = 2
    ) -> [[Float]] {
        let device = CPUDevice(team: ThreadTeam(threadCount: threads))
        let layout = PageLayout(
            encoding: encoding,
            rows: pageRows,
            heads: keyHeads,
            dimension: dimension
        )
        let pagesEach = 8
        let count = sequences.count * pagesEach
        func rows() -> PagedRows {
            PagedRows(
                pages: device.tensor(rows: count, columns: layout.pageByteCount, type: .uint8),
                layout: layout,
                scale: 0.01
            )
        }
        let (keys, values) = (rows(), rows())
        // Pages lie anywhere: backwards, and in turns.
        let tables = (0..<sequences.count).flatMap { sequence in
            (0..<pagesEach).map { Int32(count - 1 - $0 * sequences.count - sequence) }
        }
        let table = device.tensor(rows: sequences.count, columns: pagesEach, type: .int32)
        device.upload(tables, to: table)
        var done = [Int](repeating: 0, count: sequences.count)
        var found = [[Float]](repeating: [], count: sequences.count)
        for pass in passes {
            var (q, k, v) = ([Float](), [Float](), [Float]())
            var (positions, owners) = ([Int32](), [Int32]())
            for (index, rows) in pass.enumerated() {
                let range = done[index]..<done[index] + rows
                let sequence = sequences[index]
                q += sequence.query[range.lowerBound * queryWidth..<range.upperBound * queryWidth]
                k += sequence.key[range.lowerBound * keyWidth..<range.upperBound * keyWidth]
                v += sequence.value[range.lowerBound * keyWidth..<range.upperBound * keyWidth]
                positions += range.map(Int32.init)
                owners += range.map { _ in Int32(index) }
            }
            let total = positions.count
            let positionTensor = device.tensor(columns: total, type: .int32)
            let ownerTensor = device.tensor(columns: total, type: .int32)
            device.upload(positions, to: positionTensor)
            device.upload(owners, to: ownerTensor)
            let batch = PagedBatch(
                positions: positionTensor,
                sequences: ownerTensor,
                tables: table,
                rows: total,
                lastPosition: Int(positions.max() ?? 0)
            )
            device.store(tensor(k, keyWidth, device), of: batch, in: keys)
            device.store(tensor(v, keyWidth, device), of: batch, in: values)
            let output = device.tensor(rows: total, columns: queryWidth)
            device.attend(
                PagedAttentionOperation(batch: batch, scores: scores),
                query: tensor(q, queryWidth, device),
                keys: keys,
                values: values,
                into: output
            )
            let all = array(output, device)
            var start = 0
            for (index, rows) in pass.enumerated() {
                found[index] += all[start * queryWidth..<(start + rows) * queryWidth]
                start += rows
                done[index] += rows
            }
        }
        return found
    }

    /// Attention of a whole sequence, keys and values rounded as the cache keeps them.
    private static func whole(
        _ sequence: Sequence,
        _ encoding: CacheEncoding,
        _ scores: AttentionScores
    ) -> [Float] {
        let device = CPUDevice(team: ThreadTeam(threadCount: 1))
        func rounded(_ values: [Float]) -> DeviceTensor {
            let tensor = tensor(values, keyWidth, device)
            switch encoding {
            case .float32: break
            case .bfloat16:
                let halves = device.tensor(
                    rows: tensor.rows,
                    columns: keyWidth,
                    type: .bfloat16
                )
                device.copy(tensor, to: halves)
                device.copy(halves, to: tensor)
            case .quantized(let format):
                let scale: Rounding.Scale =
                    format.scaleKind.hasTensorScale ? .fixed(0.01) : .dynamic
                device.fakeQuantize(tensor, Rounding(format, scale: scale), into: tensor)
            }
            return tensor
        }
        let output = device.tensor(rows: sequence.length, columns: queryWidth)
        device.attend(
            SequenceAttention(length: sequence.length, headDimension: dimension, scores: scores),
            AttentionTensors(
                query: tensor(sequence.query, queryWidth, device),
                key: rounded(sequence.key),
                value: rounded(sequence.value),
                output: output
            )
        )
        return array(output, device)
    }

    private static let encodings: [CacheEncoding] = [
        .float32, .bfloat16, .quantized(.fp8PerTensor), .quantized(.mxfp4), .quantized(.nvfp4),
        .quantized(.mxfp6E2M3), .quantized(.mxfp8),
    ]

    @Test(arguments: encodings)
    func equalsAttentionOverWholeSequences(encoding: CacheEncoding) {
        for scores in [
            AttentionScores(scale: 0.3, softCap: nil, window: nil),
            AttentionScores(scale: 0.3, softCap: 1.5, window: nil),
            AttentionScores(scale: 0.3, softCap: nil, window: 5),
        ] {
            let sequence = Sequence(23, 1)
            let found = Self.paged([sequence], [[23]], encoding, scores)[0]
            let expected = Self.whole(sequence, encoding, scores)
            for (a, b) in zip(found, expected) { #expect(abs(a - b) < 2e-5) }
            #expect(found.count == expected.count)
        }
    }

    @Test(arguments: encodings)
    func isTheSameAloneAndInCompany(encoding: CacheEncoding) {
        let scores = AttentionScores(scale: 0.3, softCap: nil, window: 9)
        let sequences = [Sequence(23, 1), Sequence(11, 2), Sequence(30, 3)]
        let alone = sequences.map {
            Self.paged([$0], [[$0.length]], encoding, scores, threads: 1)[0]
        }
        let passes = [[5, 1, 20], [1, 1, 1], [9, 9, 0], [0, 0, 9], [8, 0, 0]]
        for threads in 1...3 {
            let together = Self.paged(sequences, passes, encoding, scores, threads: threads)
            #expect(together == alone)
        }
    }

    @Test(arguments: [1, 7, 8, 16, 24, 40, 64, 80, 96, 128, 256])
    func twinsGiveTheSameBits(dimension: Int) {
        for count in 0..<19 {
            let rows = Self.values(max(count, 1) * dimension, 5)
            let query = Self.values(dimension, 6)
            let weights = Self.values(max(count, 1), 7)
            var (fast, slow) = ([Float](repeating: 0, count: 19), [Float](repeating: 0, count: 19))
            CachedAttentionKernels.scores(
                &fast,
                query: query,
                keys: rows,
                count: count,
                dimension: dimension
            )
            CachedAttentionKernels.scoresReference(
                &slow,
                query: query,
                keys: rows,
                count: count,
                dimension: dimension
            )
            #expect(fast == slow)
            var (mixed, expected) = (Self.values(dimension, 8), Self.values(dimension, 8))
            CachedAttentionKernels.mix(
                into: &mixed,
                weights: weights,
                values: rows,
                count: count,
                dimension: dimension
            )
            CachedAttentionKernels.mixReference(
                into: &expected,
                weights: weights,
                values: rows,
                count: count,
                dimension: dimension
            )
            #expect(mixed == expected)
        }
    }
}
