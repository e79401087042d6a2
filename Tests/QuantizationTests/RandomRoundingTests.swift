internal import Formats
internal import Kernels
internal import Testing

@testable internal import Quantization

/// Rounding up or down at random.
struct RandomRoundingTests {
    private static func rounded(
        _ values: [Float],
        _ format: QuantizationFormat,
        rows: Int,
        seed: UInt32,
        scales: BlockScales? = nil,
        threads: Int = 1
    ) -> [Float] {
        var output = values
        func round(_ bytes: BlockScaleBytes?) {
            values.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return }
                BlockQuantizer.fakeQuantize(
                    WeightMatrix(start, rows: rows, columns: values.count / rows),
                    into: &output,
                    format: format,
                    scales: bytes,
                    draw: RoundingDraw(seed: seed, place: 64),
                    team: ThreadTeam(threadCount: threads)
                )
            }
        }
        if let scales { scales.withBytes { round($0) } } else { round(nil) }
        return output
    }

    private static let values: [Float] = (0..<512).map { (index: Int) -> Float in
        let wave = Float((index * 7919) % 1009) / 1009 - 0.5
        return wave * (index % 3 == 0 ? 0.02 : 0.3)
    }

    /// Each value is one of its two neighbours on the grid, and the mean over many draws is the value: of
    /// n draws between values a step d apart, the mean's standard error is at most d / (2 √n).
    @Test(arguments: [
        "mxfp4", "nvfp4", "mxfp6_e3m2", "mxint8", "fp8_per_channel", "fp8_per_tensor",
    ])
    func isRightInTheMean(name: String) throws {
        var format = try #require(QuantizationFormat(algorithm: name))
        // No value saturates.
        format.scaleMode = .rceil
        let draws = 4096
        var sums = [Double](repeating: 0, count: Self.values.count)
        var lowest = [Float](repeating: .infinity, count: Self.values.count)
        var highest = [Float](repeating: -.infinity, count: Self.values.count)
        for seed in 0..<draws {
            let output = Self.rounded(Self.values, format, rows: 4, seed: UInt32(seed))
            for (index, value) in output.enumerated() {
                sums[index] += Double(value)
                lowest[index] = min(lowest[index], value)
                highest[index] = max(highest[index], value)
            }
        }
        for (index, value) in Self.values.enumerated() {
            let gap = highest[index] - lowest[index]
            // The largest of a block under E4M3 scales may lie a little beyond.
            let slack = max(abs(value) * 0.07, 1e-6)
            #expect(lowest[index] <= value + slack && highest[index] >= value - slack)
            let saturates = format.scaleKind == .e4m3TwoLevel && gap == 0
            let error = abs(sums[index] / Double(draws) - Double(value))
            let bound = 6 * Double(gap) / (2 * Double(draws).squareRoot())
            // Where one neighbour is next to never drawn, the value is next to the other.
            #expect(saturates || error <= bound + Double(abs(value)) * 2e-3 + 1e-6, "\(index)")
        }
    }

    /// Values on the grid stay; values beyond what a given scale holds become the largest that it does.
    @Test func gridStaysAndTheRestSaturates() {
        let grid: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -2, -3, -4, -6, 6]
        let scales = BlockScales(blocks: [0x38], factors: [1])
        let far = grid.map { $0 * 3 }
        for seed in 0..<50 {
            let seed = UInt32(seed)
            let kept = Self.rounded(grid, .nvfp4, rows: 1, seed: seed, scales: scales)
            #expect(kept == grid)
            let saturated = Self.rounded(far, .nvfp4, rows: 1, seed: seed, scales: scales)
            for (value, source) in zip(saturated, far) where abs(source) >= 6 {
                #expect(abs(value) == 6)
            }
        }
    }

    /// The same bits for any number of threads, others for another seed.
    @Test(arguments: ["mxfp4", "nvfp4", "fp8_per_tensor"])
    func bitsComeFromSeedAndPlace(name: String) throws {
        let format = try #require(QuantizationFormat(algorithm: name))
        let one = Self.rounded(Self.values, format, rows: 8, seed: 3)
        #expect(Self.rounded(Self.values, format, rows: 8, seed: 3, threads: 3) == one)
        #expect(Self.rounded(Self.values, format, rows: 8, seed: 4) != one)
    }
}
