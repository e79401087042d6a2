internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Activations that are kept as BF16 for the backward pass.
struct HalfActivationsTests {
    private static let tokens: [Int32] = (0..<32).map { Int32(($0 * 7 + $0 / 5) % 53) }

    private static func configuration(_ name: String) -> ModelConfiguration {
        var configuration = tinyConfiguration(layers: 3)
        switch name {
        case "after": configuration.architecture.normPlacement = .after
        case "both": configuration.architecture.normPlacement = .beforeAndAfter
        case "heads": configuration.architecture.queryKeyNorm = .perHead
        default: break
        }
        return configuration
    }

    private static func engine(
        _ norms: String,
        activations: QuantizationFormat? = nil,
        on device: any ComputeDevice
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: try Parameters.random(
                configuration: configuration(norms),
                seed: 3,
                deviation: 0.1
            ),
            teacher: nil,
            settings: .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4, activations: activations),
                batchSize: 2,
                length: 16
            ),
            isFrozen: { _ in false },
            device: device
        )
    }

    private static func device(keepsHalves: Bool) -> RecordingDevice {
        RecordingDevice(
            CPUDevice(team: ThreadTeam(threadCount: 2), operands: .bfloat16),
            keepsHalves: keepsHalves
        )
    }

    /// The loss is the same, the gradient off by what eight significant bits are off: 2^-9 of each factor
    /// at most, a handful of them on the way.
    ///
    /// Inputs that are rounded further, to steps of 2^-3 or less, take the neighbouring value for one in 32
    /// or so of BF16's roundings: 2^-3 · √(1/32) = 2^-5.5, and not in one place alone.
    @Test(arguments: ["before", "after", "both", "heads"], [nil, QuantizationFormat.mxfp8])
    func gradientsAreNearThoseOfOneThatKeepsAll(
        norms: String,
        activations: QuantizationFormat?
    ) throws {
        func engine(keepsHalves: Bool) throws -> TrainingEngine {
            let device = Self.device(keepsHalves: keepsHalves)
            return try Self.engine(norms, activations: activations, on: device)
        }
        let (half, whole) = (try engine(keepsHalves: true), try engine(keepsHalves: false))
        let limit: Double = activations == nil ? 0x1p-6 : 0x1p-4
        let found = try half.step(tokens: Self.tokens, learningRate: 1e-3, progress: 0)
        let expected = try whole.step(tokens: Self.tokens, learningRate: 1e-3, progress: 0)
        #expect(found.loss == expected.loss)
        for entry in half.parameters.layout.entries {
            let gradient = try #require(half.gradient(ofParameter: entry.name))
            let reference = try #require(whole.gradient(ofParameter: entry.name))
            #expect(relativeError(gradient, reference) < limit, "\(entry.name)")
        }
    }

    /// Of three layers two keep an input of 32 numbers and two statistics per row as they are, and
    /// 3 · 32 + 2 · 32 + 2 · 16 + 2 · 64 halves.
    @Test(.enabled(if: OperandPrecision.bfloat16.isSupported))
    func memoryIsHalfOfWhatIsKept() throws {
        func allocated(keepsHalves: Bool) throws -> Int {
            let device = Self.device(keepsHalves: keepsHalves)
            _ = try Self.engine("before", on: device)
            return device.lines.compactMap { line in
                line.hasPrefix("allocate ") ? Int(line.dropFirst("allocate ".count)) : nil
            }.reduce(0, +)
        }
        let inner = 3 * 32 + 2 * 32 + 2 * 16 + 2 * 64
        let saved = 2 * 32 * inner * 2
        #expect(try allocated(keepsHalves: false) - allocated(keepsHalves: true) == saved)
    }

    private static let roundings: [(Float, UInt16)] = [
        (0x1p0, 0x3F80), (0x1.01p0, 0x3F80), (0x1.03p0, 0x3F82), (-0x1.012p0, 0xBF81),
        (0x1p-133, 0x0001), (-0.0, 0x8000), (.greatestFiniteMagnitude, 0x7F80),
        (0x1.fep127, 0x7F7F), (-.infinity, 0xFF80),
    ]

    /// IEEE 754's nearest, ties to even, by hand: 1 + 2^-8 lies in the middle and goes down to the even
    /// neighbour, 1 + 3 · 2^-8 up to it; what is beyond the largest becomes infinite.
    @Test(arguments: roundings)
    func valuesAreRoundedToNearest(value: Float, half: UInt16) {
        // Of every place in a vector and beside it.
        let values = [Float](repeating: value, count: 37)
        var halves = [UInt16](repeating: 0, count: 37)
        HalfConversion.narrow(values, into: &halves, count: 37)
        #expect(halves == [UInt16](repeating: half, count: 37))
        var back = [Float](repeating: 1, count: 37)
        HalfConversion.widen(halves, into: &back, count: 37)
        #expect(back.allSatisfy { $0.bitPattern == UInt32(half) << 16 })
    }

    @Test func whatIsNoNumberStaysNone() {
        // One's upper half alone would be an infinity.
        var values = [Float](repeating: .nan, count: 20)
        values[3] = Float(bitPattern: 0x7F80_0001)
        var halves = [UInt16](repeating: 0, count: values.count)
        HalfConversion.narrow(values, into: &halves, count: values.count)
        #expect(halves.allSatisfy { Float(bitPattern: UInt32($0) << 16).isNaN })
    }
}
