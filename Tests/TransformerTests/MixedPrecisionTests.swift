internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Training with BF16 operands; a processor without the instructions computes with FP32 ones, and then
/// these bounds hold the more.
struct MixedPrecisionTests {
    private static func engine(
        _ operands: OperandPrecision,
        threads: Int = 2,
        distilled: Bool = false
    ) throws -> TrainingEngine {
        let configuration = tinyConfiguration()
        let parameters = try Parameters.random(
            configuration: configuration,
            seed: 3,
            deviation: 0.1
        )
        return try TrainingEngine(
            parameters: parameters,
            teacher: distilled ? try parameters.copy() : nil,
            settings: .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                objective: distilled ? .distillation(.init()) : .crossEntropy,
                batchSize: 2,
                length: 16
            ),
            isFrozen: { _ in false },
            device: CPUDevice(
                team: ThreadTeam(threadCount: threads),
                operands: operands
            )
        )
    }

    private static let tokens: [Int32] = (0..<32).map { index in
        let token: Int = (index * 7 + index / 5) % 16
        return Int32(token)
    }

    /// Operands are rounded to eight significant bits; sums, masters and moments are not.
    @Test(arguments: [false, true])
    func oneStepIsNearThatInFP32(distilled: Bool) throws {
        let exact = try Self.engine(.float32, distilled: distilled)
        let mixed = try Self.engine(.bfloat16, distilled: distilled)
        let expected = try exact.step(tokens: Self.tokens, learningRate: 1e-3, progress: 0)
        let found = try mixed.step(tokens: Self.tokens, learningRate: 1e-3, progress: 0)
        #expect(abs(found.loss / expected.loss - 1) < 0.02)
        #expect(abs(found.gradientNorm / expected.gradientNorm - 1) < 0.05)
        let name = "model.layers.0.mlp.up_proj.weight"
        let gradient = try #require(mixed.gradient(ofParameter: name))
        let reference = try #require(exact.gradient(ofParameter: name))
        #expect(relativeError(gradient, reference) < 0.05)
    }

    @Test func threadsChangeNoBit() throws {
        func weights(_ threads: Int) throws -> [Float] {
            let engine = try Self.engine(.bfloat16, threads: threads, distilled: true)
            for _ in 0..<3 {
                _ = try engine.step(tokens: Self.tokens, learningRate: 1e-3, progress: 0)
            }
            return Array(engine.parameters.storage.elements)
        }
        let one = try weights(1)
        for threads in [2, 3, 5] { #expect(try weights(threads) == one, "\(threads) threads") }
    }

    @Test func theLossFalls() throws {
        let engine = try Self.engine(.bfloat16)
        let first = try engine.step(tokens: Self.tokens, learningRate: 3e-3, progress: 0).loss
        var last = first
        for _ in 0..<20 {
            last = try engine.step(tokens: Self.tokens, learningRate: 3e-3, progress: 0).loss
        }
        #expect(last < first * 0.9)
    }
}
