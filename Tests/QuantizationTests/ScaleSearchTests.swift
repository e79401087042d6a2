internal import Formats
internal import Kernels
internal import Testing

@testable internal import Quantization

/// Scale searches against what they are defined to find.
struct ScaleSearchTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    private static func values(_ count: Int, seed: UInt64) -> [Float] {
        var bits = Bits(seed: seed)
        // A long tail: cubes of values in -1 ... 1.
        return (0..<count).map { _ in
            let x = Float(bits.next() >> 8) / Float(1 << 23) - 1
            return x * x * x
        }
    }

    private static func rounded(
        _ values: [Float],
        _ format: QuantizationFormat,
        _ search: ScaleSearch,
        importance: [Float]? = nil,
        columns: Int = 64
    ) throws -> PackedTensor {
        var copy = values
        return try copy.withUnsafeMutableBufferPointer {
            try WeightRounding.round(
                $0,
                columns: columns,
                format: format,
                search: search,
                importance: importance,
                team: team
            )
        }
    }

    /// Rounds to E2M1 by comparing all magnitudes, in double precision.
    private static func nearest(_ x: Float, _ step: Float) -> Double {
        let grid = [0, 0.5, 1, 1.5, 2, 3, 4, 6].map { $0 * Double(step) }
        let magnitude = Double(x.magnitude)
        return grid.min { abs($0 - magnitude) < abs($1 - magnitude) } ?? 0
    }

    @Test func sweepFindsTheBestOfAllE4M3Scales() throws {
        let columns = 64
        let values = Self.values(32 * columns, seed: 3)
        let importance = (0..<columns).map { Float(1 + $0 % 5) }
        let packed = try Self.rounded(values, .nvfp4, .sweep, importance: importance)
        let global = try #require(packed.globalScale)
        for block in 0..<values.count / 16 {
            let errors = (1...0x7E).map { byte -> Double in
                let step = QuantizeKernels.step(
                    ofScale: UInt8(byte),
                    storage: QuantizationFormat.nvfp4.storage(scale: global)
                )
                return (0..<16).reduce(0) { sum, index in
                    let x = values[block * 16 + index]
                    let error = Double(x.magnitude) - Self.nearest(x, step)
                    return sum + error * error * Double(importance[(block * 16 + index) % columns])
                }
            }
            let least = errors.min() ?? 0
            let chosen = errors[Int(packed.scales[block]) - 1]
            #expect(chosen <= least * (1 + 1e-6), "block \(block)")
        }
    }

    @Test func percentilesAreThoseOfTheSortedMagnitudes() {
        let values = Self.values(5000, seed: 4)
        let sorted = values.map(\.magnitude).sorted()
        for percent in [0.01, 10, 50, 99, 99.9, 100] {
            let place = Int((Double(values.count) * percent / 100).rounded(.up)) - 1
            let exact = sorted[max(place, 0)]
            let found = ScaleSearch.percentile(percent, of: values, count: values.count)
            #expect(found >= exact && found <= exact * (1 + 1 / 128), "\(percent)")
        }
    }

    @Test func percentileLimitsWhatScalesHold() throws {
        var values = Self.values(64 * 64, seed: 5)
        values[70] = 40
        let limit = ScaleSearch.percentile(99, of: values, count: values.count)
        let tensor = try Self.rounded(values, .fp8PerTensor, .percentile(99))
        #expect(tensor.floatScales == [limit / 448])
        let channels = try Self.rounded(values, .fp8PerChannel, .percentile(99))
        #expect(channels.floatScales[1] == 40.0 / 448 || channels.floatScales[1] < 40.0 / 448)
        let blocks = try Self.rounded(values, .mxfp4, .percentile(99))
        let plain = try Self.rounded(values, .mxfp4, .max)
        #expect(blocks.scales[2] < plain.scales[2], "the block with the outlier saturates")
        let all = try Self.rounded(values, .mxfp4, .percentile(100))
        #expect(all.scales == plain.scales)
    }

    @Test func sharedScalesHoldTheOthersValues() throws {
        let values = Self.values(64 * 64, seed: 6)
        var copy = values
        let packed = try copy.withUnsafeMutableBufferPointer {
            try WeightRounding.round(
                $0,
                columns: 64,
                format: .nvfp4,
                search: .max,
                amax: 8,
                team: Self.team
            )
        }
        #expect(packed.globalScale == 8.0 / 2688)
    }

    /// Weights that are all the same are called that.
    @Test(arguments: [
        (Float(0), "all weights are zero"), (0.5, "all weights are 0.5"),
    ])
    func weightsThatAreAllTheSameAreSaid(value: Float, warning: String) {
        let values = [Float](repeating: value, count: 64)
        let statistics = values.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map {
                QuantizationStatistics(values: $0, quantized: $0, count: 64, team: Self.team)
            }
        }
        #expect(statistics?.warnings == [warning])
    }

    @Test func usesOfScalesAreCounted() throws {
        // The first block saturates at floor's scale (7 > 6), the second collapses beside a large
        // value in NVFP4's other blocks.
        var values = [Float](repeating: 0.5, count: 64)
        values[0] = 7
        let packed = try Self.rounded(values, .mxfp4, .max)
        let statistics = values.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map {
                QuantizationStatistics(values: $0, quantized: $0, packed: packed, team: Self.team)
            }
        }
        #expect(statistics?.saturatedShare == 1.0 / 64)
        #expect(statistics?.collapsedShare == 0)
        var wide = [Float](repeating: 1e-6, count: 64)
        for index in 0..<16 { wide[index] = 1000 }
        let two = try Self.rounded(wide, .nvfp4, .max)
        let collapsed = wide.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map {
                QuantizationStatistics(values: $0, quantized: $0, packed: two, team: Self.team)
            }
        }
        #expect(collapsed?.collapsedShare == 0.75)
        #expect(collapsed?.warnings.contains { $0.contains("scale collapse: 75.0 %") } == true)
    }
}
