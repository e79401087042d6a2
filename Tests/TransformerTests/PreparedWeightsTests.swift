internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Weights that are rounded and put in order once per step.
///
/// A processor that does not multiply BF16 prepares none: then there is nothing to differ.
struct PreparedWeightsTests {
    private static let tokens: [Int32] = (0..<64).map { index in
        let token: Int = (index * 7 + index / 5) % 16
        return Int32(token)
    }

    private static func engine(_ device: RecordingDevice, recipe: QuantizationRecipe) throws
        -> TrainingEngine
    {
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 3,
            deviation: 0.1
        )
        return try TrainingEngine(
            parameters: parameters,
            teacher: try parameters.copy(),
            settings: .init(
                recipe: recipe,
                objective: .distillation(.init()),
                batchSize: 2,
                accumulation: 2,
                length: 16
            ),
            isFrozen: { _ in false },
            device: device
        )
    }

    private static func device(preparesWeights: Bool) -> RecordingDevice {
        RecordingDevice(
            CPUDevice(team: ThreadTeam(threadCount: 2), operands: .bfloat16),
            preparesWeights: preparesWeights
        )
    }

    /// Two micro-batches a step, a change of stage, and weights that the host changed between steps.
    @Test func changeNoBitOfATraining() throws {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [.init(pattern: "lm_head", format: .mxfp8)],
            stages: [
                .init(until: 0.5, format: .mxfp8), .init(until: 1, format: .mxfp4),
            ]
        )
        func run(preparesWeights: Bool) throws -> (losses: [Double], weights: [Float]) {
            let engine = try Self.engine(
                Self.device(preparesWeights: preparesWeights),
                recipe: recipe
            )
            var losses: [Double] = []
            for step in 0..<6 {
                let result = try engine.step(
                    tokens: Self.tokens,
                    learningRate: 1e-2,
                    progress: Double(step) / 6
                )
                losses.append(result.loss)
                if step == 3 {
                    engine.parameters.storage.pointer[40] += 0.25
                    engine.resume(atStep: 4)
                }
            }
            return (losses, Array(engine.parameters.storage.elements))
        }
        let (found, expected) = (
            try run(preparesWeights: true), try run(preparesWeights: false)
        )
        #expect(found.losses == expected.losses)
        #expect(found.weights == expected.weights)
    }

    /// Each of the student's weights once in a step of two micro-batches, the teacher's once for all.
    @Test(.enabled(if: OperandPrecision.bfloat16.isSupported))
    func areMadeOncePerStep() throws {
        let device = Self.device(preparesWeights: true)
        let engine = try Self.engine(device, recipe: .init(defaultFormat: .mxfp4))
        func step() throws -> Int {
            device.clear()
            _ = try engine.step(tokens: Self.tokens, learningRate: 1e-3, progress: 0)
            return device.lines.count { $0.hasPrefix("prepare ") }
        }
        let configuration = tinyConfiguration()
        let weights = configuration.layerCount * configuration.linearModules.count + 1
        #expect(try step() == 2 * weights)
        #expect(try step() == weights)
        let rounded = device.lines.count { $0.hasPrefix("fakeQuantize") }
        #expect(rounded == weights - 1)
    }
}
