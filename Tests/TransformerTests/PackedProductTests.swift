internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// Products with packed weights against their definition, to the bit.
struct PackedProductTests {
    private static let formats =
        QuantizationFormat.all
        + [
            QuantizationFormat(element: .e2m1, blockSize: 16),
            QuantizationFormat(element: .e2m1, blockSize: 8),
            QuantizationFormat(element: .e3m2, blockSize: 64),
            QuantizationFormat(element: .e4m3, blockSize: 128),
            QuantizationFormat(element: .e2m1, blockSize: 32, scaleKind: .e4m3TwoLevel),
        ]
    /// Neither a multiple of a tile.
    private static let shape = (rows: 41, columns: 384)

    private static func values(_ count: Int, seed: UInt64) -> AlignedBuffer<Float> {
        let buffer = AlignedBuffer<Float>(count: count)
        var generator = SplitMix64(seed: seed)
        for index in 0..<count {
            // Rows of several magnitudes, so that scales differ.
            let magnitude = Float(1 << (index / 96 % 7))
            buffer.pointer[index] = generator.normal() * magnitude
        }
        return buffer
    }

    private static func tensor(_ format: QuantizationFormat) throws -> PackedTensor {
        let source = values(shape.rows * shape.columns, seed: 5)
        // The buffer itself is not used again: without this it is gone before it is read.
        return try withExtendedLifetime(source) {
            try BlockQuantizer.quantize(
                UnsafeBufferPointer(source.elements),
                rows: shape.rows,
                columns: shape.columns,
                format: format,
                team: ThreadTeam(threadCount: 1)
            )
        }
    }

    private static func dequantized(_ tensor: PackedTensor) throws -> [Float] {
        var values = [Float](repeating: 0, count: tensor.rows * tensor.columns)
        try values.withUnsafeMutableBufferPointer {
            try BlockQuantizer.dequantize(tensor, into: $0, team: ThreadTeam(threadCount: 1))
        }
        return values
    }

    /// What E4M3 and E8M0 bytes say, from their definitions.
    private static func step(_ byte: UInt8, _ kind: ScaleKind) -> Float {
        guard kind == .e4m3TwoLevel else {
            return Float(sign: .plus, exponent: Int(byte) - 127, significand: 1)
        }
        let (exponent, mantissa) = (Int(byte >> 3), Float(byte & 7))
        return exponent == 0
            ? Float(sign: .plus, exponent: -9, significand: mantissa)
            : Float(sign: .plus, exponent: exponent - 7, significand: 1 + mantissa / 8)
    }

    /// `y[rows of x][rows of W]`: blocks in order, and columns in order within a block.
    private static func product(
        _ weight: [Float],
        steps: (_ row: Int, _ block: Int) -> Float,
        factors: (_ row: Int) -> Float,
        block: Int,
        _ input: AlignedBuffer<Float>,
        count: Int
    ) -> [Float] {
        let (rows, columns) = shape
        return (0..<count).flatMap { index in
            (0..<rows).map { row in
                var total: Float = 0
                for first in stride(from: 0, to: columns, by: block) {
                    var sum: Float = 0
                    for k in first..<min(first + block, columns) {
                        sum.addProduct(
                            weight[row * columns + k],
                            input.pointer[index * columns + k]
                        )
                    }
                    total.addProduct(steps(row, first / block), sum)
                }
                return total * factors(row)
            }
        }
    }

    private static func products(
        _ weight: PackedWeight,
        _ input: AlignedBuffer<Float>,
        count: Int,
        threads: Int
    ) -> [Float] {
        let device = CPUDevice(team: ThreadTeam(threadCount: threads))
        let output = device.tensor(rows: count, columns: shape.rows)
        let source = DeviceTensor(device.adopt(input), rows: count, columns: shape.columns)
        device.multiply(
            .forward(input: source, weight: .packed(device.adopt(weight)), output: output)
        )
        var result = [Float](repeating: 0, count: output.count)
        device.download(output, into: &result)
        return result
    }

    private static func expectSame(
        _ found: [Float],
        _ expected: some Collection<Float>,
        _ what: String
    ) {
        #expect(found.map(\.bitPattern) == expected.map(\.bitPattern), "\(what)")
    }

    /// One input, some, and as many as a chunk of a prompt has, on one thread and several.
    private static func check(
        _ weight: PackedWeight,
        _ what: String,
        _ define: (AlignedBuffer<Float>, Int) -> [Float]
    ) {
        let most = 21
        let input = values(most * shape.columns, seed: 11)
        let expected = define(input, most)
        for count in [1, 2, 3, 8, 9, most] {
            for threads in 1...3 {
                expectSame(
                    products(weight, input, count: count, threads: threads),
                    expected[..<(count * shape.rows)],
                    "\(what), \(count) inputs, \(threads) threads"
                )
            }
        }
    }

    @Test(arguments: formats)
    func equalTheDefinition(format: QuantizationFormat) throws {
        let tensor = try Self.tensor(format)
        let weight = try #require(try PackedWeight(tensor, team: ThreadTeam(threadCount: 2)))
        let one: UInt8 = format.scaleKind == .e8m0 ? 127 : 0x38
        let codes = try Self.dequantized(
            PackedTensor(
                format: format,
                rows: tensor.rows,
                columns: tensor.columns,
                codes: tensor.codes,
                scales: tensor.scales.map { _ in one },
                floatScales: tensor.floatScales.map { _ in 1 }
            )
        )
        let perRow = format.blockScaleCount(rows: 1, columns: tensor.columns)
        Self.check(weight, format.nameWithBlock) { input, count in
            Self.product(
                codes,
                steps: {
                    perRow == 0 ? 1 : Self.step(tensor.scales[$0 * perRow + $1], format.scaleKind)
                },
                factors: { row in
                    tensor.floatScales.isEmpty
                        ? 1 : tensor.floatScales[min(row, tensor.floatScales.count - 1)]
                },
                block: perRow == 0 ? 32 : format.blockSize,
                input,
                count: count
            )
        }
    }

    /// Under powers of two, a product is the dequantized weight's, in the same order.
    @Test(arguments: formats.filter { $0.scaleKind == .e8m0 })
    func areThoseOfDequantizedWeights(format: QuantizationFormat) throws {
        let tensor = try Self.tensor(format)
        let weight = try #require(try PackedWeight(tensor, team: ThreadTeam(threadCount: 1)))
        let dequantized = try Self.dequantized(tensor)
        Self.check(weight, format.nameWithBlock) { input, count in
            Self.product(
                dequantized,
                steps: { _, _ in 1 },
                factors: { _ in 1 },
                block: format.blockSize,
                input,
                count: count
            )
        }
    }

    @Test(arguments: [PackedLayout.Element.bfloat16, .float16, .float32])
    func equalTheDefinitionOfPlainWeights(element: PackedLayout.Element) throws {
        let (rows, columns) = Self.shape
        let values = Self.values(rows * columns, seed: 5)
        let room = values.pointer
        for index in 0..<values.count {
            switch element {
            case .bfloat16:
                room[index] = Float(bitPattern: room[index].bitPattern & 0xFFFF_0000)
            case .float16:
                // Subnormal numbers among others.
                let bits = room[index].bitPattern & 0xFFFF_E000
                let isNormal = abs(room[index]) > 0x1p-10
                room[index] = isNormal ? Float(bitPattern: bits) : Float(index % 1024) * 0x1p-24
            case .float32, .narrow: break
            }
        }
        #expect(PackedWeight.isExact(room, count: values.count, as: element))
        let weight = PackedWeight(element, rows: rows, columns: columns) { range, output in
            output.baseAddress?.update(from: room + range.lowerBound * columns, count: output.count)
        }
        Self.check(weight, "\(element)") { input, count in
            Self.product(
                Array(values.elements),
                steps: { _, _ in 1 },
                factors: { _ in 1 },
                block: 32,
                input,
                count: count
            )
        }
    }

    @Test func exactnessIsToTheBit() {
        let cases: [(Float, bfloat16: Bool, float16: Bool)] = [
            (0, true, true), (-0.0, true, true), (1.5, true, true), (65504, false, true),
            (65536, true, false), (0x1p-24, true, true), (0x1p-25, true, false),
            (0x1.004p0, false, true), (0x1.002p0, false, false), (0x1p-126, true, false),
            (.infinity, false, false), (.nan, false, false), (0x1.8p-15, true, true),
        ]
        for (value, bfloat16, float16) in cases {
            var value = value
            #expect(PackedWeight.isExact(&value, count: 1, as: .bfloat16) == bfloat16, "\(value)")
            #expect(PackedWeight.isExact(&value, count: 1, as: .float16) == float16, "\(value)")
        }
    }

    /// The embedding's rows, as dequantizing gives them.
    @Test(arguments: formats)
    func rowsAreThoseOfTheTensor(format: QuantizationFormat) throws {
        let tensor = try Self.tensor(format)
        let weight = try #require(try PackedWeight(tensor, team: ThreadTeam(threadCount: 1)))
        let device = CPUDevice(team: ThreadTeam(threadCount: 1))
        let rows: [Int32] = [40, 0, 17, 16, 15, 17]
        let tokens = device.tensor(columns: rows.count, type: .int32)
        device.upload(rows, to: tokens)
        let output = device.tensor(rows: rows.count, columns: tensor.columns)
        device.embed(tokens, packed: device.adopt(weight), into: output)
        var found = [Float](repeating: 0, count: output.count)
        device.download(output, into: &found)
        let values = try Self.dequantized(tensor)
        let expected = rows.flatMap { row in
            values[Int(row) * tensor.columns..<(Int(row) + 1) * tensor.columns]
        }
        Self.expectSame(found, expected, format.nameWithBlock)
    }

    @Test func whatIsNoNumberIsRefused() throws {
        func refuses(
            _ format: QuantizationFormat,
            code: UInt8 = 0,
            scale: UInt8 = 1,
            factor: Float = 1
        ) throws {
            let tensor = try PackedTensor(
                format: format,
                rows: 1,
                columns: 32,
                codes: Array(repeating: code, count: 4 * format.element.bitWidth),
                scales: Array(
                    repeating: scale,
                    count: format.blockScaleCount(rows: 1, columns: 32)
                ),
                floatScales: Array(repeating: factor, count: format.floatScaleCount(rows: 1))
            )
            #expect(throws: QuantizationError.self, "\(format.name)") {
                try PackedWeight(tensor, team: ThreadTeam(threadCount: 1))
            }
        }
        try refuses(.mxfp4, scale: 255)
        try refuses(.nvfp4, scale: 0x7F)
        try refuses(.nvfp4, factor: .infinity)
        try refuses(.mxfp8, code: 0xFF)
        try refuses(.mxfp8E5M2, code: 0x7C)
        try refuses(.fp8PerTensor, factor: .nan)
    }

    @Test func otherBlocksHaveNoTiles() {
        for blockSize in [4, 12, 256] {
            let format = QuantizationFormat(element: .e2m1, blockSize: blockSize)
            #expect(PackedLayout(format, rows: 16, columns: 768) == nil)
        }
    }
}
