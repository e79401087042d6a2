internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Lion against PyTorch's arithmetic, `make_lion_fixtures.py`.
struct LionTests {
    private struct Fixture: Decodable {
        struct Step: Decodable {
            let lr: Float
            let beta1: Float
            let beta2: Float
            let decay: Float
            let scale: Float
        }
        let step: Step
        let weights: [Float]
        let gradients: [[Float]]
        let updated: [Float]
        let moment: [Float]
    }

    private static func fixture() throws -> Fixture {
        let url = try #require(
            Bundle.module.url(
                forResource: "lion",
                withExtension: "json",
                subdirectory: "Fixtures"
            )
        )
        return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url))
    }

    private static func step(_ fixture: Fixture, number: Int) -> LionStep {
        LionStep(
            learningRate: fixture.step.lr,
            beta1: fixture.step.beta1,
            beta2: fixture.step.beta2,
            weightDecay: fixture.step.decay,
            gradientScale: fixture.step.scale,
            seed: UInt32(number)
        )
    }

    @Test func equalsPyTorch() throws {
        let fixture = try Self.fixture()
        var weights = fixture.weights
        var moment = [Float](repeating: 0, count: weights.count)
        for (number, gradient) in fixture.gradients.enumerated() {
            OptimizerKernels.lion(
                weights: &weights,
                moment: &moment,
                gradient: gradient,
                count: weights.count,
                step: Self.step(fixture, number: number)
            )
        }
        #expect(relativeError(weights, fixture.updated) <= 1e-6)
        #expect(relativeError(moment, fixture.moment) <= 1e-6)
    }

    /// A gradient that never changes: every step is the rate, whatever moments are kept as.
    @Test(arguments: MomentPrecision.allCases)
    func everyStepIsTheRate(moments: MomentPrecision) throws {
        let engine = try MomentRuns.engine(.init(.lion, weightDecay: 0, moments: moments))
        let before = MomentRuns.weights(engine.parameters)
        try MomentRuns.train(engine, from: 0, to: 1)
        var moved = 0
        for (old, new) in zip(before, MomentRuns.weights(engine.parameters))
        where old != new {
            #expect(abs(abs(new - old) - 1e-3) <= 1e-6)
            moved += 1
        }
        #expect(moved > before.count / 2)
    }

    @Test func lossFalls() throws {
        let engine = try MomentRuns.engine(.init(.lion))
        let tokens = (0..<32).map { Int32($0 % 16) }
        let losses = try (0..<20).map { _ in
            try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0).loss
        }
        #expect(losses[19] < 0.9 * losses[0])
    }
}
