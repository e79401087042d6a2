internal import Devices
internal import Formats
internal import Kernels

@testable internal import Transformer

/// Short runs of the tiny model under an optimizer.
enum MomentRuns {
    static func engine(
        _ optimizer: OptimizerConfiguration,
        threads: Int = 2,
        copiesHost: Bool = false
    ) throws -> TrainingEngine {
        try tinyEngine(
            .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                optimizer: optimizer,
                batchSize: 2,
                length: 16
            ),
            threads: threads,
            copiesHost: copiesHost
        )
    }

    static func train(_ engine: TrainingEngine, from first: Int, to last: Int) throws {
        for step in first..<last {
            let tokens = (0..<32).map { Int32(($0 * 7 + step) % 53) }
            _ = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
        }
    }

    /// All parameters, copied while they are there.
    static func weights(_ parameters: Parameters) -> [Float] {
        withExtendedLifetime(parameters) { Array(parameters.storage.elements) }
    }

    /// Puts what a checkpoint holds of one engine into another of its kind.
    static func restore(_ target: TrainingEngine, from source: TrainingEngine) {
        target.parameters.storage.pointer.update(
            from: source.parameters.storage.pointer,
            count: source.parameters.storage.count
        )
        for (target, source) in zip(target.state, source.state) {
            target.bytes.copyMemory(from: UnsafeRawBufferPointer(source.bytes))
        }
        target.resume(atStep: source.stepCount)
    }
}
