internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// Training whose steps round weights at random.
struct RandomRoundingTrainingTests {
    private static let tokens: [Int32] = (0..<32).map { Int32(($0 * 7 + $0 / 5) % 16) }

    private static func engine(
        seed: UInt64?,
        threads: Int = 2,
        format: QuantizationFormat = .nvfp4
    ) throws -> TrainingEngine {
        let recipe = QuantizationRecipe(
            defaultFormat: format,
            rules: [.init(pattern: "lm_head", format: format)]
        )
        return try TrainingEngine(
            parameters: try Parameters.random(
                configuration: tinyConfiguration(),
                seed: 9,
                deviation: 0.1
            ),
            teacher: nil,
            settings: .init(recipe: recipe, batchSize: 2, length: 16, roundingSeed: seed),
            isFrozen: { _ in false },
            device: CPUDevice(team: ThreadTeam(threadCount: threads))
        )
    }

    private static func step(_ engine: TrainingEngine) throws -> Double {
        try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0).loss
    }

    /// A copy of an engine's weights; the engine outlives the reading.
    private static func elements(of engine: TrainingEngine) -> [Float] {
        withExtendedLifetime(engine) { Array(engine.parameters.storage.elements) }
    }

    /// Any number of threads gives the same bits, and so does a run that goes on from its middle.
    @Test func stepsRepeatToTheBit() throws {
        let one = try Self.engine(seed: 5, threads: 1)
        let three = try Self.engine(seed: 5, threads: 3)
        let losses = try (0..<4).map { _ in try Self.step(one) }
        #expect(try (0..<4).map { _ in try Self.step(three) } == losses)
        #expect(Self.elements(of: one) == Self.elements(of: three))
        let first = try Self.engine(seed: 5)
        for _ in 0..<2 { _ = try Self.step(first) }
        let second = try Self.engine(seed: 5)
        second.parameters.storage.pointer.update(
            from: first.parameters.storage.pointer,
            count: first.parameters.storage.count
        )
        for (from, to) in zip(first.state, second.state) {
            to.bytes.copyMemory(from: UnsafeRawBufferPointer(from.bytes))
        }
        second.resume(atStep: 2)
        #expect(try (0..<2).map { _ in try Self.step(second) } == Array(losses.suffix(2)))
        #expect(try Self.step(try Self.engine(seed: 6)) != losses[0])
        #expect(try Self.step(try Self.engine(seed: nil)) != losses[0])
    }

    /// Each step draws anew, and what is stored is rounded to nearest.
    @Test func stepsDrawAnewAndExportsRoundToNearest() throws {
        let engine = try Self.engine(seed: 5)
        let losses = try (0..<3).map { _ in
            try engine.step(tokens: Self.tokens, learningRate: 0, progress: 0).loss
        }
        #expect(Set(losses).count == 3)
        let team = ThreadTeam(threadCount: 1)
        let recipe = QuantizationRecipe(defaultFormat: .nvfp4)
        let plain = try Self.engine(seed: nil).parameters
        let stored = try engine.parameters.quantizations(by: recipe, team: team)
        for (found, expected) in zip(stored, try plain.quantizations(by: recipe, team: team)) {
            #expect(try found.quantize() == expected.quantize())
        }
    }
}
