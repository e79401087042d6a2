internal import Formats
internal import Kernels
internal import Testing

@testable internal import Quantization

/// Rounding under scales that were found beforehand.
struct BlockScalesTests {
    // Shared: of one thread, tests may use it at a time.
    private static let team = ThreadTeam(threadCount: 1)
    private static let rows = 3
    private static let columns = 96

    private static func values(_ factor: Float = 1) -> [Float] {
        (0..<rows * columns).map { index in
            let spread: Float = index % 7 == 0 ? 4 : 1
            let step = Float((index * 37) % 101 - 50)
            return factor * spread * step / 50
        }
    }

    private static func packed(
        _ values: [Float],
        _ format: QuantizationFormat,
        _ scales: BlockScales? = nil
    ) throws -> PackedTensor {
        try values.withUnsafeBufferPointer {
            guard let scales else {
                return try BlockQuantizer.quantize(
                    $0,
                    rows: rows,
                    columns: columns,
                    format: format,
                    team: team
                )
            }
            return try BlockQuantizer.quantize(
                $0,
                rows: rows,
                columns: columns,
                format: format,
                scales: scales,
                team: team
            )
        }
    }

    private static func rounded(
        _ values: [Float],
        _ format: QuantizationFormat,
        _ scales: BlockScales
    ) -> [Float] {
        var output = values
        scales.withBytes { bytes in
            BlockQuantizer.fakeQuantize(
                values,
                into: &output,
                rows: rows,
                columns: columns,
                format: format,
                scales: bytes,
                team: team
            )
        }
        return output
    }

    private static func dequantized(_ packed: PackedTensor) throws -> [Float] {
        var output = [Float](repeating: 0, count: rows * columns)
        try output.withUnsafeMutableBufferPointer {
            try BlockQuantizer.dequantize(packed, into: $0, team: team)
        }
        return output
    }

    private static let formats: [QuantizationFormat] = [
        .mxfp4, .mxfp6E2M3, .mxfp8, .mxint8, .nvfp4, .fp8PerTensor, .fp8PerChannel,
    ]

    /// The scales that values ask for by themselves give what rounding by them gives.
    @Test(arguments: formats)
    func theirOwnScalesChangeNothing(format: QuantizationFormat) throws {
        let values = Self.values()
        let expected = try Self.packed(values, format)
        let scales = BlockScales(expected)
        #expect(try Self.packed(values, format, scales) == expected)
        #expect(Self.rounded(values, format, scales) == (try Self.dequantized(expected)))
    }

    /// What was rounded is rounded to itself, and what moves beyond a scale saturates.
    @Test(arguments: formats)
    func scalesStayWhileValuesMove(format: QuantizationFormat) throws {
        let scales = BlockScales(try Self.packed(Self.values(), format))
        for factor: Float in [0.4, 1.7] {
            let values = Self.values(factor)
            let packed = try Self.packed(values, format, scales)
            #expect(BlockScales(packed) == scales)
            let found = Self.rounded(values, format, scales)
            #expect(found == (try Self.dequantized(packed)))
            #expect(Self.rounded(found, format, scales) == found)
        }
    }

    /// E2M1 by its definition: the nearest of eight magnitudes times the step, ties to the even code.
    @Test func valuesGoToTheNearestCodeUnderTheGivenStep() {
        let magnitudes: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
        let values = Self.values(5)
        let blocks = (0..<Self.rows * Self.columns / 32).map { UInt8(126 + $0 % 3) }
        let found = Self.rounded(values, .mxfp4, BlockScales(blocks: blocks, factors: []))
        for (index, value) in values.enumerated() {
            let step: Float = [0.5, 1, 2][index / 32 % 3]
            let distances = magnitudes.map { abs(abs(value) - $0 * step) }
            let least = distances.min() ?? 0
            let nearest = magnitudes.indices.filter { distances[$0] == least }
            let code = nearest.first { $0 % 2 == 0 } ?? nearest[0]
            #expect(abs(found[index]) == magnitudes[code] * step, "\(value) under \(step)")
        }
    }

    @Test func gradientsStopBeyondTheGivenScale() {
        let values = Self.values(5)
        let blocks = [UInt8](repeating: 127, count: Self.rows * Self.columns / 32)
        var gradient = [Float](repeating: 1, count: values.count)
        BlockScales(blocks: blocks, factors: []).withBytes { bytes in
            BlockQuantizer.maskSaturated(
                gradient: &gradient,
                source: values,
                rows: Self.rows,
                columns: Self.columns,
                format: .mxfp4,
                scales: bytes,
                team: Self.team
            )
        }
        #expect(gradient == values.map { abs($0) > 6 ? 0 : 1 })
    }

    @Test func scalesOfAnotherShapeAreRefused() throws {
        let scales = BlockScales(blocks: [127], factors: [])
        #expect(throws: QuantizationError.self) {
            try Self.packed(Self.values(), .mxfp4, scales)
        }
    }
}
