internal import Formats
internal import Testing

@testable internal import Transformer

struct BitAllocationTests {
    private static func groups(_ count: Int, seed: UInt64) -> [LayerSensitivity] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { index in
            let weights = 1024 * (1 + Int(generator.uniform() * 4))
            let error = generator.uniform()
            let sizes = [4.25, 6.25, 8.25]
            return LayerSensitivity(
                modules: ["m\(index)"],
                weightCount: weights,
                candidates: zip([QuantizationFormat.mxfp4, .mxfp6E2M3, .mxfp8], sizes).map {
                    .init(
                        format: $0,
                        bitCount: $1 * Double(weights),
                        error: error / ($1 * $1 * (1 + generator.uniform()))
                    )
                }
            )
        }
    }

    private static func cost(_ groups: [LayerSensitivity], _ choice: [Int]) -> (Double, Double) {
        zip(groups, choice).reduce((0, 0)) { sum, pair in
            let candidate = pair.0.candidates[pair.1]
            return (sum.0 + candidate.error, sum.1 + candidate.bitCount)
        }
    }

    @Test(arguments: 1...8)
    func isAsGoodAsTryingEverything(seed: Int) throws {
        let groups = Self.groups(7, seed: UInt64(seed))
        let weights = Double(groups.reduce(0) { $0 + $1.weightCount })
        for budget in [4.25, 4.5, 5.1, 6.3, 8.25, 16] {
            let choice = try BitAllocation.choose(groups, bitsPerWeight: budget)
            let (error, bits) = Self.cost(groups, choice.candidates)
            #expect(bits <= budget * weights * (1 + 1e-9))
            #expect(abs(choice.bitsPerWeight - bits / weights) < 1e-9)
            var least = Double.infinity
            for code in 0..<2187 {
                var (rest, candidates) = (code, [Int]())
                for _ in 0..<7 {
                    candidates.append(rest % 3)
                    rest /= 3
                }
                let (other, size) = Self.cost(groups, candidates)
                if size <= budget * weights { least = min(least, other) }
            }
            #expect(error <= least * (1 + 1e-3), "\(budget) bits")
        }
    }

    @Test func refusesWhatNoChoiceFits() {
        let error = #expect(throws: TransformerError.self) {
            try BitAllocation.choose(Self.groups(3, seed: 1), bitsPerWeight: 4)
        }
        #expect(error?.message.contains("4.0 bits per weight are fewer than the 4.25") == true)
        #expect(throws: TransformerError.self) {
            try BitAllocation.choose([], bitsPerWeight: 4)
        }
    }
}
