internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Training that keeps of each layer only its input.
struct ActivationCheckpointingTests {
    private static let tokens: [Int32] = (0..<32).map { Int32(($0 * 7 + $0 / 5) % 53) }

    private static func engine(
        _ configuration: ModelConfiguration,
        checkpoints: Bool,
        on device: any ComputeDevice
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: try Parameters.random(
                configuration: configuration,
                seed: 3,
                deviation: 0.1
            ),
            teacher: nil,
            settings: .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4, activations: .mxfp8),
                batchSize: 2,
                length: 16,
                checkpointsActivations: checkpoints
            ),
            isFrozen: { _ in false },
            device: device
        )
    }

    /// Norms where families have them: before each part, after it, both, of queries and keys.
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

    @Test(arguments: ["before", "after", "both", "heads"])
    func stepsAreThoseOfOneThatKeepsAll(norms: String) throws {
        let configuration = Self.configuration(norms)
        func weights(checkpoints: Bool) throws -> [Float] {
            let device = CPUDevice(team: ThreadTeam(threadCount: 2))
            let engine = try Self.engine(configuration, checkpoints: checkpoints, on: device)
            for _ in 0..<3 {
                _ = try engine.step(tokens: Self.tokens, learningRate: 1e-2, progress: 0)
            }
            return Array(engine.parameters.storage.elements)
        }
        #expect(try weights(checkpoints: true) == weights(checkpoints: false))
    }

    /// Of three layers two keep no more than their inputs: 2 · 32 rows of 32 numbers instead of all.
    @Test func memoryIsThatOfOneLayerAndItsInputs() throws {
        func allocated(checkpoints: Bool) throws -> Int {
            let device = RecordingDevice(CPUDevice(team: ThreadTeam(threadCount: 1)))
            _ = try Self.engine(Self.configuration(""), checkpoints: checkpoints, on: device)
            return device.lines.compactMap { line in
                line.hasPrefix("allocate ") ? Int(line.dropFirst("allocate ".count)) : nil
            }.reduce(0, +)
        }
        // By hand: hidden 32, queries 32, keys 16, MLP 64; four of hidden width, two of queries', two of
        // keys', gate and up, and a number per row for each of two norms.
        let perRow = 4 * 32 + 2 * 32 + 2 * 16 + 2 * 64 + 2
        let saved = 2 * 32 * (perRow - 32) * 4
        #expect(try allocated(checkpoints: false) - allocated(checkpoints: true) == saved)
    }
}
