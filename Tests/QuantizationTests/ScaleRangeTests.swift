internal import Formats
internal import Kernels
internal import Testing

@testable internal import Quantization

/// Scales of the smallest and the largest magnitudes.
struct ScaleRangeTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 1) }

    @Test(arguments: [QuantizationFormat.fp8PerTensor, .fp8PerChannel, .nvfp4])
    func scalesAreNormalOfEveryFiniteMagnitude(format: QuantizationFormat) {
        let least = Float.leastNonzeroMagnitude
        for amax: Float in [0, least, 1e-38, 1e-30, 1, 3e38, .greatestFiniteMagnitude] {
            let scale = format.floatScale(amax: amax)
            #expect(scale.isNormal && scale > 0, "\(amax)")
            #expect((1 / scale).isFinite && (scale * 448).isFinite)
        }
    }

    @Test func scalesOfOrdinaryRangesAreUnchanged() {
        // From the definitions: amax / 448, and amax / 2688 of two levels.
        #expect(QuantizationFormat.fp8PerTensor.floatScale(amax: 3) == Float(3) / 448)
        #expect(QuantizationFormat.nvfp4.floatScale(amax: 3) == Float(3) / 2688)
        #expect(QuantizationFormat.nvfp4.floatScale(amax: 0) == 1)
        #expect(QuantizationFormat.nvfp4.floatScale(amax: .nan).isNaN)
        #expect(QuantizationFormat.nvfp4.floatScale(amax: .infinity) == .infinity)
    }

    /// The largest magnitude's scale times the largest element is finite, however scales are chosen.
    @Test(arguments: ScaleMode.allCases, ElementFormat.allCases)
    func noScaleMakesInfinities(mode: ScaleMode, element: ElementFormat) throws {
        let format = QuantizationFormat(element: element, scaleMode: mode)
        for amax: Float in [.greatestFiniteMagnitude, 3e38, 0x1p127] {
            let values = (0..<32).map { amax * (1 - Float($0) / 16) }
            let packed = try values.withUnsafeBufferPointer {
                try BlockQuantizer.quantize(
                    $0,
                    rows: 1,
                    columns: 32,
                    format: format,
                    team: Self.team
                )
            }
            #expect(packed.scales[0] < 255)
            var read = [Float](repeating: 0, count: 32)
            try read.withUnsafeMutableBufferPointer {
                try BlockQuantizer.dequantize(packed, into: $0, team: Self.team)
            }
            #expect(zip(read, values).allSatisfy { abs($0 / 4 - $1 / 4) <= amax * 0.26 / 4 })
        }
    }
}
