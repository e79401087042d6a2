internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Transformer

/// What a model's figures come to does not depend on how many threads compute them, to the last bit.
struct ThreadCountTests {
    /// Everything that one number of threads finds.
    private struct Figures: Equatable {
        var perplexity: PerplexityResult
        var divergence: DivergenceResult
        var logits: [Float]
        var steps: [StepFigures]
    }

    /// A full optimizer step.
    private struct StepFigures: Equatable {
        var result: StepResult
        var gradients: [[Float]]
        var parameters: [Float]
        var moments: [[Float]]
    }

    private static let recipe = QuantizationRecipe(
        defaultFormat: .mxfp4,
        rules: ["*embed_tokens", "lm_head"].map { .init(pattern: ModulePattern($0), format: nil) },
        activations: .mxfp8
    )

    /// Soft caps, norms on both sides and windows; LayerNorm without a gate; norms of queries and keys.
    @Test(arguments: ["gemma2", "nemotron", "qwen3"])
    func figuresAreTheSameForAnyNumberOfThreads(name: String) throws {
        let fixture = ArchitectureFixture(name: name)
        let one = try Self.figures(fixture, threads: 1)
        #expect(one.steps.allSatisfy { $0.result.loss > 0 && $0.result.gradientNorm > 0 })
        for threads in [2, 3, 5] {
            let found = try Self.figures(fixture, threads: threads)
            #expect(found.perplexity == one.perplexity, "\(threads) threads")
            #expect(found.divergence == one.divergence, "\(threads) threads")
            #expect(found.logits == one.logits, "\(threads) threads")
            for (a, b) in zip(found.steps, one.steps) {
                #expect(a.result == b.result, "\(threads) threads")
                #expect(a.gradients == b.gradients, "\(threads) threads")
                #expect(a.parameters == b.parameters, "\(threads) threads")
                #expect(a.moments == b.moments, "\(threads) threads")
            }
        }
    }

    private static func figures(_ fixture: ArchitectureFixture, threads: Int) throws -> Figures {
        let expected = try fixture.expected()
        let team = ThreadTeam(threadCount: threads)
        let original = try fixture.parameters()
        let rounded = try original.copy()
        try rounded.fakeQuantize(by: recipe, team: team)
        let tokens = expected.tokens.flatMap { $0 }
        let length = expected.tokens[0].count
        let generator = try Generator(
            parameters: original,
            capacity: 64,
            chunk: 7,
            device: CPUDevice(team: team)
        )
        try generator.append(expected.tokens[0])
        return Figures(
            perplexity: try PerplexityEvaluator(
                parameters: original,
                recipe: recipe,
                length: length,
                device: CPUDevice(team: team)
            ).evaluate(tokens: tokens, windows: expected.tokens.count),
            divergence: try LogitDivergence(
                original: original,
                tokens: tokens,
                length: length,
                device: CPUDevice(team: team)
            ).measure(rounded),
            logits: generator.lastLogits,
            steps: try [.crossEntropy, .distillation(.init(temperature: 2))].map {
                try step($0, original, tokens, length, team)
            }
        )
    }

    private static func step(
        _ objective: TrainingObjective,
        _ original: Parameters,
        _ tokens: [Int32],
        _ length: Int,
        _ team: ThreadTeam
    ) throws -> StepFigures {
        let engine = try TrainingEngine(
            parameters: try original.copy(),
            teacher: original,
            settings: .init(
                recipe: recipe,
                objective: objective,
                optimizer: OptimizerConfiguration(),
                batchSize: tokens.count / length,
                length: length
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: team)
        )
        // What it keeps is gone with it, and it might go after its last use.
        defer { withExtendedLifetime(engine) {} }
        let result = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
        return StepFigures(
            result: result,
            gradients: try engine.parameters.layout.entries.map {
                try #require(engine.gradient(ofParameter: $0.name))
            },
            parameters: Array(engine.parameters.storage.elements),
            moments: engine.state.map { Array($0.bytes.bindMemory(to: Float.self)) }
        )
    }
}
