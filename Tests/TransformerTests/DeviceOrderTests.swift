internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Transformer

/// What a step asks of a device, and in which order: a device that queues must be able to follow.
struct DeviceOrderTests {
    private static func steps(_ count: Int) throws -> [[String]] {
        let device = RecordingDevice(CPUDevice(team: ThreadTeam(threadCount: 2)))
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(layers: 1),
            seed: 1
        )
        let engine = try TrainingEngine(
            parameters: parameters,
            teacher: nil,
            settings: .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                batchSize: 2,
                length: 16
            ),
            isFrozen: { _ in false },
            device: device
        )
        let tokens = [Int32](repeating: 3, count: 32)
        return try (0..<count).map { _ in
            device.clear()
            _ = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
            return device.lines
        }
    }

    /// The recorded order is read by people when it changes: `DeviceOrder.txt` is the expectation.
    @Test func aStepIsTheRecordedOrder() throws {
        let url = try #require(
            Bundle.module.url(
                forResource: "DeviceOrder",
                withExtension: "txt",
                subdirectory: "Fixtures"
            )
        )
        let expected = try String(contentsOf: url, encoding: .utf8)
        let found = try Self.steps(1)[0].joined(separator: "\n") + "\n"
        #expect(found == expected, "the order is now\n\(found)")
    }

    /// Nothing is allocated, every step asks for the same, and but for the loss nothing is waited for.
    @Test func stepsAskForTheSameAndWaitForTheLossAlone() throws {
        let steps = try Self.steps(3)
        #expect(steps[1] == steps[0] && steps[2] == steps[0])
        #expect(!steps[0].contains { $0.hasPrefix("allocate") || $0.hasPrefix("settle") })
        #expect(steps[0].filter { $0.hasPrefix("download") } == ["download 1x3"])
    }
}
