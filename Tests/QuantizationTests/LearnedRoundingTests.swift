internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Quantization

/// Offsets that move the middle between two codes, and factors that move scales.
@Suite struct LearnedRoundingTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    /// One format's part of `Fixtures/make_learned_rounding.py`: torch's autograd in double precision.
    private struct Case {
        let format: QuantizationFormat
        let scale: Float
        /// Blocks, which are rows here, and elements of each.
        let rows: Int, columns: Int
        var weights: [Float], offsets: [Float], gradient: [Float]
        var steps: [Float], factors: [Float]
        let rounded: [Float], movedOffsets: [Float], movedFactors: [Float]
        var scales: [UInt8]
        let movedScales: [UInt8]
    }

    private static func cases() throws -> [Case] {
        struct Index: Decodable {
            struct Entry: Decodable { let format: String, size: Int, scale: UInt32 }
            let blocks: Int, cases: [Entry]
        }
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let blob = try Data(contentsOf: folder.appending(path: "learned_rounding.bin"))
        let json = try Data(contentsOf: folder.appending(path: "learned_rounding.json"))
        let index = try JSONDecoder().decode(Index.self, from: json)
        var place = 0
        func floats(_ count: Int) -> [Float] {
            defer { place += count * 4 }
            return blob.withUnsafeBytes { bytes in
                (0..<count).map {
                    let bits = bytes.loadUnaligned(fromByteOffset: place + $0 * 4, as: UInt32.self)
                    return Float(bitPattern: bits)
                }
            }
        }
        func bytes(_ count: Int) -> [UInt8] {
            defer { place += count }
            return [UInt8](blob[place..<place + count])
        }
        return try index.cases.map { entry in
            let (rows, columns) = (index.blocks, entry.size)
            let count = rows * columns
            return Case(
                format: try #require(try QuantizationFormat.named(entry.format)),
                scale: Float(bitPattern: entry.scale),
                rows: rows,
                columns: columns,
                weights: floats(count),
                offsets: floats(count),
                gradient: floats(count),
                steps: floats(rows),
                factors: floats(rows),
                rounded: floats(count),
                movedOffsets: floats(count),
                movedFactors: floats(rows),
                scales: bytes(rows),
                movedScales: bytes(rows)
            )
        }
    }

    private static func round(_ example: Case, offsets: [Float]) -> [Float] {
        var output = [Float](repeating: .nan, count: example.weights.count)
        let scales = BlockScales(blocks: example.scales, factors: [example.scale])
        example.weights.withUnsafeBufferPointer { weights in
            guard let start = weights.baseAddress else { return }
            scales.withBytes { bytes in
                BlockQuantizer.fakeQuantize(
                    WeightMatrix(start, rows: example.rows, columns: example.columns),
                    into: &output,
                    format: example.format,
                    scales: bytes,
                    offsets: offsets,
                    team: team
                )
            }
        }
        return output
    }

    @Test func valuesUnderOffsetsEqualAutogradsForward() throws {
        let cases = try Self.cases()
        #expect(cases.count == 5)
        for example in cases {
            let found = Self.round(example, offsets: example.offsets)
            for (value, expected) in zip(found, example.rounded) {
                #expect(abs(value - expected) <= 2e-7 * abs(expected), "\(example.format.name)")
            }
        }
    }

    /// A step moves every offset, factor and scale where autograd's gradients send it.
    @Test func aStepFollowsTheSignsOfAutogradsGradients() throws {
        for var example in try Self.cases() {
            let name = example.format.name
            var scale = example.scale
            let first = example.scales
            BlockQuantizer.learnRounding(
                LearnedRoundingBuffers(
                    offsets: &example.offsets,
                    factors: &example.factors,
                    blocks: &example.scales,
                    steps: example.steps,
                    factorsOfRows: &scale
                ),
                gradient: example.gradient,
                source: WeightMatrix(
                    example.weights,
                    rows: example.rows,
                    columns: example.columns
                ),
                format: example.format,
                step: .init(offsetRate: 0.0125, factorRate: 0.25, factors: 0.5...1.45),
                team: Self.team
            )
            for (found, expected) in zip(example.offsets, example.movedOffsets) {
                #expect(abs(found - expected) < 1e-7, "\(name)")
            }
            for (found, expected) in zip(example.factors, example.movedFactors) {
                #expect(abs(found - expected) < 1e-6, "\(name)")
            }
            #expect(example.scales == example.movedScales, "\(name)")
            #expect(example.scales != first, "\(name)")
        }
    }

    /// By definition: no offset is rounding to nearest, and any other stays next to it.
    @Test(arguments: QuantizationFormat.all)
    func noOffsetIsNearestAndAnyIsNextToIt(format: QuantizationFormat) throws {
        let (rows, columns) = (4, 64)
        var state: UInt64 = 77
        func random() -> Float {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(state >> 40) * 0x1p-24 - 0.5
        }
        // Half of them a short binary fraction: ties and grid values are among them.
        let weights = (0..<rows * columns).map { index in
            index % 2 == 0 ? random() : (random() * 64).rounded() / 64
        }
        let packed = try weights.withUnsafeBufferPointer {
            try BlockQuantizer.quantize(
                $0,
                rows: rows,
                columns: columns,
                format: format,
                team: Self.team
            )
        }
        var nearest = weights
        try nearest.withUnsafeMutableBufferPointer {
            try BlockQuantizer.dequantize(packed, into: $0, team: Self.team)
        }
        let scales = BlockScales(packed)
        func round(_ offsets: [Float]) -> [Float] {
            var output = weights
            scales.withBytes { bytes in
                BlockQuantizer.fakeQuantize(
                    WeightMatrix(weights, rows: rows, columns: columns),
                    into: &output,
                    format: format,
                    scales: bytes,
                    offsets: offsets,
                    team: Self.team
                )
            }
            return output
        }
        #expect(round([Float](repeating: 0, count: weights.count)) == nearest)
        let moved = round((0..<weights.count).map { $0 % 9 == 0 ? 0.5 : random() })
        #expect(moved != nearest)
        // What is stored says the same, and no code is more than one off.
        let stored = try moved.withUnsafeBufferPointer {
            try BlockQuantizer.quantize(
                $0,
                rows: rows,
                columns: columns,
                format: format,
                scales: scales,
                team: Self.team
            )
        }
        var restored = moved
        try restored.withUnsafeMutableBufferPointer {
            try BlockQuantizer.dequantize(stored, into: $0, team: Self.team)
        }
        #expect(restored == moved)
        for (a, b) in zip(Self.magnitudes(packed), Self.magnitudes(stored)) {
            #expect(abs(a - b) <= 1)
        }
    }

    /// Codes in the order of the values that they stand for, signs left out.
    private static func magnitudes(_ packed: PackedTensor) -> [Int] {
        let bits = packed.format.element.bitWidth
        var codes = [UInt8](repeating: 0, count: packed.rows * packed.columns)
        QuantizeKernels.unpack(&codes, packed: packed.codes, count: codes.count, codeBits: bits)
        return codes.map { code in
            packed.format.element == .int8
                ? abs(Int(Int8(bitPattern: code))) : Int(code) & ((1 << (bits - 1)) - 1)
        }
    }
}
