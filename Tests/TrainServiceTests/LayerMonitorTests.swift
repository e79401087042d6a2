internal import ComputeKit
internal import Formats
internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import TrainService

/// What is followed of weights between the steps that are logged.
@Suite struct LayerMonitorTests {
    private static let module = "model.layers.0.mlp.up_proj"

    private static func parameters() throws -> Parameters {
        try Parameters.random(
            configuration: ModelConfiguration(
                vocabularySize: 32,
                hiddenSize: 32,
                intermediateSize: 64,
                layerCount: 1,
                headCount: 2,
                keyValueHeadCount: 1
            ),
            seed: 1
        )
    }

    /// Sets the module's weight: each row the values given, and zeros.
    private static func set(_ values: [Float], _ parameters: Parameters) throws {
        let entry = try #require(parameters.layout[module + ".weight"])
        let start = parameters.storage.pointer + entry.offset
        for row in 0..<entry.rows {
            for column in 0..<entry.columns {
                start[row * entry.columns + column] =
                    column < values.count ? values[column] : 0
            }
        }
    }

    private static func measure(
        _ monitor: LayerMonitor,
        _ parameters: Parameters,
        step: Int,
        recipe: QuantizationRecipe = QuantizationRecipe(defaultFormat: .mxfp4),
        norms: [String: Double] = [:]
    ) throws -> LayerMonitor.Layer {
        let layers = try monitor.measure(
            parameters,
            recipe: recipe,
            progress: 1,
            step: step,
            gradientNorms: norms,
            team: ThreadTeam(threadCount: 1)
        )
        return try #require(layers.first { $0.report.module == module })
    }

    /// With a largest magnitude of 4 the scale of MXFP4 is 1: 0.5 is the code of its own, 0.2 and -0.2 are
    /// zero, 1.2 is 1 and 1.3 is 1.5.
    @Test func countsCodesThatAreOthersThanBefore() throws {
        let (monitor, parameters) = (LayerMonitor(), try Self.parameters())
        try Self.set([4, 0.5, 0.2, 1.2], parameters)
        let first = try Self.measure(monitor, parameters, step: 10)
        #expect(first.course.flippedShare == nil)
        // Of 32 in a row one flips: the sign of a zero is no other code.
        try Self.set([4, 0.5, -0.2, 1.3], parameters)
        let second = try Self.measure(monitor, parameters, step: 20)
        #expect(second.course.flippedShare == 1.0 / 32)
        #expect(second.course.flippedSteps == 10)
        #expect(try Self.measure(monitor, parameters, step: 30).course.flippedShare == 0)
        // Another format has codes of its own.
        let other = try Self.measure(
            monitor,
            parameters,
            step: 30,
            recipe: QuantizationRecipe(defaultFormat: .mxfp8)
        )
        #expect(other.course.flippedShare == nil)
        try Self.set([4, 1, -0.2, 1], parameters)
        #expect(try Self.measure(monitor, parameters, step: 40).course.flippedShare == 2.0 / 32)
    }

    /// ‖Δw‖ / ‖w‖ of a row (3, 4) that becomes (3, 4.5): 0.5 / 5.
    @Test func measuresWhatAStepChanges() throws {
        let (monitor, parameters) = (LayerMonitor(), try Self.parameters())
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4)
        try Self.set([3, 4], parameters)
        #expect(try Self.measure(monitor, parameters, step: 1).course.updateRatio == nil)
        try monitor.remember(parameters, recipe: recipe, progress: 1)
        try Self.set([3, 4.5], parameters)
        let layer = try Self.measure(monitor, parameters, step: 2, norms: [Self.module: 0.25])
        #expect(abs((layer.course.updateRatio ?? 0) - 0.1) < 1e-12)
        #expect(layer.course.gradientNorm == 0.25)
        // What was remembered is of one step.
        #expect(try Self.measure(monitor, parameters, step: 3).course.updateRatio == nil)
    }

    /// Under a scale of 1, MXFP4 holds no more than 6: 7.5 of a block is beyond.
    @Test func saturationIsMeasuredInTraining() throws {
        let (monitor, parameters) = (LayerMonitor(), try Self.parameters())
        try Self.set([7.5, 1], parameters)
        let layer = try Self.measure(monitor, parameters, step: 1)
        #expect(LayerFigures(layer)[.saturatedShare] == 1.0 / 32)
    }

    /// Codes by hand: 4 bits low nibble first, 6 bits four in three bytes, a byte each; zeros of either sign
    /// are one, but for integers, which have one.
    @Test func codesAreThoseThatAreStored() throws {
        func codes(_ format: QuantizationFormat, _ bytes: [UInt8]) throws -> [UInt8] {
            let count = bytes.count * 8 / format.element.bitWidth
            let packed = try PackedTensor(
                format: format,
                rows: 1,
                columns: count,
                codes: bytes,
                scales: [UInt8](repeating: 127, count: count / format.blockSize),
                floatScales: []
            )
            return LayerMonitor.codeValues(packed)
        }
        let nibbles = try codes(.mxfp4, [0x21, 0x80, 0xF9] + [UInt8](repeating: 0, count: 13))
        #expect(nibbles.prefix(6) == [1, 2, 0, 0, 9, 15])
        // 0b000001, 0b100000 (zero), 0b111111, 0b000011 in 24 bits from the lowest.
        let word = 0b00_0001 | 0b10_0000 << 6 | 0b11_1111 << 12 | 0b00_0011 << 18
        let bytes = [0, 8, 16].map { UInt8(word >> $0 & 0xFF) }
        let sixths = try codes(.mxfp6E2M3, bytes + [UInt8](repeating: 0, count: 21))
        #expect(sixths.prefix(5) == [1, 0, 63, 3, 0])
        let whole = try codes(.mxfp8, [0x80, 0x81] + [UInt8](repeating: 1, count: 30))
        #expect(whole.prefix(3) == [0, 0x81, 1])
        let integers = try codes(.mxint8, [0x80, 0x81] + [UInt8](repeating: 1, count: 30))
        #expect(integers.prefix(3) == [0x80, 0x81, 1])
    }

    @Test func largeWeightsAreFollowedInRowsSpreadOverThem() {
        #expect(LayerMonitor.rows(64, columns: 32) == Array(0..<64))
        let rows = LayerMonitor.rows(1000, columns: 4096)
        #expect(rows == [0, 250, 500, 750])
        #expect(LayerMonitor.rows(3, columns: 100_000) == [0])
    }

    /// Once by layer, format and rule, each with what to do.
    @Test func warningsAreSaidOnce() throws {
        let (monitor, parameters) = (LayerMonitor(), try Self.parameters())
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4)
        var said: Set<String> = []
        func warnings(_ step: Int, format: String? = nil, gradient: Double = 1) throws -> [String] {
            let layer = try Self.measure(
                monitor,
                parameters,
                step: step,
                norms: [Self.module: gradient]
            )
            return LayerWarnings.new([layer], format: format, said: &said)
        }
        try Self.set([Float](repeating: 2, count: 32), parameters)
        let constant = try warnings(1)
        #expect(constant.count == 1)
        #expect(constant.first?.hasPrefix("\(Self.module): all weights are 2.0; ") == true)
        #expect(try warnings(2).isEmpty)
        #expect(
            try warnings(3, format: "mxfp4").first?.hasPrefix("\(Self.module) in mxfp4: ") == true
        )
        try monitor.remember(parameters, recipe: recipe, progress: 1)
        try Self.set([Float](repeating: 1, count: 16) + [2], parameters)
        let moved = try warnings(4, gradient: 0)
        #expect(moved.count == 3, "\(moved)")
        #expect(
            moved.contains {
                $0.contains("a step changed the weight by") && $0.contains("lower optim.lr")
            }
        )
        #expect(moved.contains { $0.contains("of the codes flipped in 1 steps") })
        #expect(moved.contains { $0.contains("no gradient reaches the weight") })
    }
}
